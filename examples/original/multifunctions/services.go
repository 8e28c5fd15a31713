package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// BasicServices is what the services have in common: where requests come from.
type BasicServices struct{ Requests *shm.Queue[int] }

// each has f called with every request, until ctx ends and there are no more.
func (s BasicServices) each(ctx context.Context, f func(int)) error {
	for n, err := s.Requests.Get(ctx); err == nil; n, err = s.Requests.Get(ctx) {
		f(n)
	}
	for {
		n, ok, err := s.Requests.TryGet()
		if err != nil || !ok {
			return err
		}
		f(n)
	}
}

type (
	ServicesA struct{ BasicServices } // adds up what it is sent
	ServicesB struct{ BasicServices } // counts it
	client    struct {
		A, B *shm.Queue[int]
		N    int
	}
)

func (s ServicesA) Main(ctx context.Context) (sum int, err error) {
	err = s.each(ctx, func(n int) { sum += n })
	return sum, err
}

func (s ServicesB) Main(ctx context.Context) (n int, err error) {
	err = s.each(ctx, func(int) { n++ })
	return n, err
}

// A method is registered as a function of its receiver.
var (
	mainA = xme.Register("mainA", func(ctx context.Context, s ServicesA) (int, error) { return s.Main(ctx) })
	mainB = xme.Register("mainB", func(ctx context.Context, s ServicesB) (int, error) { return s.Main(ctx) })
	guard = xme.Register("guard", func(ctx context.Context, text string) (string, error) { <-ctx.Done(); return text, nil })
	ask   = xme.Register("ask", func(ctx context.Context, c client) (bool, error) {
		return true, errors.Join(c.A.Put(ctx, c.N), c.B.Put(ctx, c.N))
	})
)

func serve(ctx context.Context, pool *xme.Pool) error {
	a, errA := shm.NewQueue[int](4)
	b, errB := shm.NewQueue[int](4)
	if err := errors.Join(errA, errB); err != nil {
		return err
	}
	defer a.Close()
	defer b.Close()
	var table xme.Table
	first := guard.With(xme.Service()).Add(&table, xme.Repeat(1, "all clients have ended"))
	sum := mainA.With(xme.Service()).Add(&table, xme.Repeat(1, ServicesA{BasicServices{a}}))
	count := mainB.With(xme.Service()).Add(&table, xme.Repeat(1, ServicesB{BasicServices{b}}))
	ask.Add(&table, xme.Split(func(i int) client { return client{a, b, i} }, make(xme.Array[int], 10)))
	if err := table.Run(ctx, pool); err != nil {
		return err
	}
	text, err1 := first.Values()
	s, err2 := sum.Values()
	n, err3 := count.Values()
	fmt.Println(text[0], s[0], n[0])
	return errors.Join(err1, err2, err3)
}
