package main

import (
	"context"
	"slices"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// part is some rows of C, which is A × B, both n × n.
type part struct {
	A, B, C *shm.Array[float64]
	N       int
	Lo, Hi  int // rows
}

var multiply = xme.Register("multiply", func(_ context.Context, p part) (int, error) {
	product(p.C.Slice(), p.A.Slice(), p.B.Slice(), p.N, p.Lo, p.Hi)
	return p.Hi - p.Lo, nil
})

// matrices are what is multiplied, and into what.
type matrices struct {
	n       int
	p       int // workers, and goroutines
	a, b, c *shm.Array[float64]
}

// rows yields the parts of C, small enough to spread and large enough to be worth a call.
func (m matrices) parts() []part {
	const rows = 32
	var all []part
	for lo := 0; lo < m.n; lo += rows {
		all = append(all, part{A: m.a.ReadOnly(), B: m.b.ReadOnly(), C: m.c, N: m.n, Lo: lo, Hi: min(lo+rows, m.n)})
	}
	return all
}

// byWorkers fills C by calls in a pool.
func (m matrices) byWorkers(ctx context.Context, pool *xme.Pool) error {
	for _, err := range multiply.Map(ctx, pool, slices.Values(m.parts())) {
		if err != nil {
			return err
		}
	}
	return nil
}

// byGoroutines fills c, which lies in this process's own memory as a and b do.
func (m matrices) byGoroutines(a, b, c []float64) {
	work := make(chan part)
	var wait sync.WaitGroup
	for range m.p {
		wait.Go(func() {
			for p := range work {
				product(c, a, b, m.n, p.Lo, p.Hi)
			}
		})
	}
	for _, p := range m.parts() {
		work <- p
	}
	close(work)
	wait.Wait()
}
