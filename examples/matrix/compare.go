package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

func run(ctx context.Context, n, p, rounds int) error {
	m := matrices{n: n, p: p}
	for _, at := range []**shm.Array[float64]{&m.a, &m.b, &m.c} {
		var err error
		if *at, err = shm.NewArray[float64](n * n); err != nil {
			return err
		}
		defer (*at).Close()
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range n * n {
		m.a.Slice()[i], m.b.Slice()[i] = rnd.Float64(), rnd.Float64()
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: p})
	if err != nil {
		return err
	}
	defer pool.Close()

	a, b, c := slices.Clone(m.a.Slice()), slices.Clone(m.b.Slice()), make([]float64, n*n)
	var workers, goroutines time.Duration
	for round := range rounds {
		clear(m.c.Slice())
		begin := time.Now()
		if err := m.byWorkers(ctx, pool); err != nil {
			return err
		}
		w := time.Since(begin)
		begin = time.Now()
		m.byGoroutines(a, b, c)
		g := time.Since(begin)
		if !slices.Equal(c, m.c.Slice()) {
			return fmt.Errorf("round %d: workers and goroutines come to different products", round+1)
		}
		workers, goroutines = workers+w, goroutines+g
		fmt.Printf("round %d: %d workers %v, %d goroutines %v\n", round+1, p, w.Round(time.Millisecond), p, g.Round(time.Millisecond))
	}
	begin := time.Now()
	product(c, a, b, n, 0, n)
	serial := time.Since(begin)
	if !slices.Equal(c, m.c.Slice()) {
		return fmt.Errorf("the product differs from the serial one")
	}
	fmt.Printf("%d x %d: equal to the serial product (%v)\n", n, n, serial.Round(time.Millisecond))
	fmt.Printf("workers: %.2f x serial, %.2f x goroutines\n", float64(serial)*float64(rounds)/float64(workers), float64(goroutines)/float64(workers))
	return nil
}
