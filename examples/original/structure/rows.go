package main

import (
	"context"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

type (
	abc struct{ A, B, C int }
	ab  struct {
		A int
		B string
	}
	turn struct {
		Five  *shm.Barrier
		Begun *shm.Value[int]
	}
)

// The function table.
var (
	funa = xme.Register("funa", func(_ context.Context, v abc) (string, error) { return fmt.Sprintf("funa %+v", v), nil })
	funb = xme.Register("funb", func(_ context.Context, v int) (string, error) { return fmt.Sprintf("funb {V:%d}", v), nil })
	pair = xme.Register("pair", func(_ context.Context, v ab) (string, error) { return fmt.Sprintf("%+v", v), nil })

	// begin returns as which row it began, and goes on once five rows have.
	begin = xme.Register("begin", func(ctx context.Context, t turn) (int, error) {
		n := shm.Add(t.Begun, 1)
		_, err := t.Five.Wait(ctx)
		return n, err
	})
)

// queued runs ten rows: the first five begin and wait for each other, the others have to wait for these to end.
func queued(ctx context.Context, pool *xme.Pool, t turn) error {
	i, first := 0, 0
	for n, err := range begin.Map(ctx, pool, xme.Repeat(10, t)) {
		if err != nil {
			return err
		}
		if (i < 5) == (n <= 5) {
			first++
		}
		i++
	}
	fmt.Printf("%d rows; 1 to 5 began first, 6 to 10 waited: %v\n", i, first == i)
	return nil
}
