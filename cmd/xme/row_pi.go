package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
)

func init() {
	rows = append(rows, row{
		name:    "pi",
		what:    "pi from 100 million darts, a million a row, in a pool of 2 workers, opened and closed within the time",
		floorIs: "2 goroutines of this process throwing the same; the figure is their time through ours",
		unit:    inSeconds,
		measure: measurePi,
		figure:  shareOfFloor, figureUnit: asRatio, must: 0.95, reach: 0.99, atLeast: true,
	})
}

const piWorkers = 2

var scatter = xme.Register("scatter", func(ctx context.Context, darts int) (int, error) {
	return throw(xme.Seed(ctx), darts), nil
})

// throw throws darts at the unit square and returns how many hit the quarter circle in it.
func throw(seed uint64, darts int) (hits int) {
	rnd := rand.New(rand.NewPCG(seed, ^seed))
	for range darts {
		if x, y := rnd.Float64(), rnd.Float64(); x*x+y*y < 1 {
			hits++
		}
	}
	return hits
}

// measurePi runs goroutines, pool, pool, goroutines: a clock rate that drifts meanwhile does both the same.
func measurePi(ctx context.Context, quick bool) (sample, error) {
	rows, darts := 100, 1_000_000
	if quick {
		rows, darts = 10, 10_000
	}
	var s sample
	for i := range 4 {
		run, took := piInGoroutines, &s.Floor
		if i == 1 || i == 2 {
			run, took = piInPool, &s.Ours
		}
		start := time.Now()
		hits, err := run(ctx, rows, darts)
		*took += time.Since(start).Seconds() / 2
		if err != nil {
			return s, err
		}
		n := float64(rows) * float64(darts)
		pi := 4 * float64(hits) / n
		if math.Abs(pi-math.Pi) > 10/math.Sqrt(n) { // six standard deviations
			return s, fmt.Errorf("pi came out as %v", pi)
		}
	}
	return s, nil
}

func piInGoroutines(_ context.Context, rows, darts int) (int, error) {
	var next, hits atomic.Int64
	var wg sync.WaitGroup
	for range piWorkers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(rows); i = next.Add(1) {
				hits.Add(int64(throw(uint64(i), darts)))
			}
		})
	}
	wg.Wait()
	return int(hits.Load()), nil
}

func piInPool(ctx context.Context, rows, darts int) (int, error) {
	pool, err := xme.Open(ctx, xme.Options{Workers: piWorkers})
	if err != nil {
		return 0, err
	}
	hits := 0
	for row := range scatter.Unordered(ctx, pool, xme.Repeat(rows, darts)) {
		if row.Err != nil {
			_ = pool.Close()
			return 0, row.Err
		}
		hits += row.Value
	}
	return hits, pool.Close()
}
