package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/xenonmp/xme"
)

func init() {
	rows = append(rows, row{
		name:    "map",
		what:    "Map over distinct ints in a pool of 2 workers, every result and its place checked, not pinned",
		floorIs: "a bare ring to each of 2 processes: slots of 64 bytes, batches of 64 rows, in order, no codec, not pinned; every result checked",
		unit:    rowsPerSecond,
		measure: measureMap,
		figure:  oursAlone, figureUnit: rowsPerSecond, must: 3e6, reach: 10e6, atLeast: true,
	})
	roles["ring"] = func(memory []byte, _ string) error { return serveRing(memory) }
}

func measureMap(ctx context.Context, quick bool) (s sample, err error) {
	rounds, block := 4, 150*time.Millisecond
	if quick {
		rounds, block = 1, 5*time.Millisecond
	}
	var rings []*ring
	for range 2 {
		p, err := startPeer(ctx, "ring", ringBytes)
		if err != nil {
			return s, err
		}
		defer closePeers(&err, p)
		rings = append(rings, newRing(p))
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 2, Spares: -1})
	if err != nil {
		return s, err
	}
	defer pool.Close()
	return alternate(ctx, rounds,
		func() (float64, error) { return ringRate(rings, block) },
		func() (float64, error) { return mapRate(ctx, pool, block) })
}

// mapRate returns how many rows a second Map runs.
func mapRate(ctx context.Context, pool *xme.Pool, d time.Duration) (float64, error) {
	start, next := time.Now(), 0
	for got, err := range increment.Map(ctx, pool, numbers(start.Add(d))) {
		switch {
		case err != nil:
			return 0, err
		case got != next+1:
			return 0, fmt.Errorf("row %d gave %d", next, got)
		}
		next++
	}
	return float64(next) / time.Since(start).Seconds(), nil
}

// numbers counts from 0 until it is late.
func numbers(end time.Time) iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := 0; n%256 != 0 || time.Now().Before(end); n++ {
			if !yield(n) {
				return
			}
		}
	}
}
