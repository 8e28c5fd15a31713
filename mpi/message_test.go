package mpi_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

var pingPong = xme.Register("pingPong", func(ctx context.Context, size int) (float64, error) {
	c := mpi.From(ctx)
	other := 1 - c.Rank()
	buf := make([]byte, size)
	n := max(20, min(100_000, 400_000_000/max(size, 1000)))
	var begin time.Time
	for i := range n + 10 {
		if i == 10 {
			begin = time.Now()
		}
		if c.Rank() == 0 {
			if err := mpi.Send(ctx, c, other, 1, buf); err != nil {
				return 0, err
			}
		}
		if k, _, err := mpi.RecvInto(ctx, c, other, 1, buf); err != nil || k != size {
			return 0, fmt.Errorf("%d of %d: %w", k, size, err)
		}
		if c.Rank() == 1 {
			if err := mpi.Send(ctx, c, other, 1, buf); err != nil {
				return 0, err
			}
		}
	}
	return time.Since(begin).Seconds() / float64(n), nil
})

func TestPingPong(t *testing.T) {
	for _, size := range []int{8, 1000, 8000, 64000, 1 << 20, 16 << 20} {
		out, err := mpi.Spawn(t.Context(), mpi.Options{Size: 2}, pingPong, size)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d: %.2f µs round trip, %.2f GB/s", size, out[0]*1e6, float64(size)/out[0]*2/1e9)
	}
}
