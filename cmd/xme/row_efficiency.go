package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
)

func init() {
	rows = append(rows, row{
		name:    "efficiency",
		what:    "3,000 rows of 100 µs through Map in a pool of 2 workers that is open already, not pinned",
		floorIs: "2 goroutines of this process doing the same; the figure is their time through ours",
		unit:    inSeconds,
		measure: measureEfficiency,
		figure:  shareOfFloor, figureUnit: asRatio, must: 0.95, reach: 0.98, atLeast: true,
	})
}

var labour = xme.Register("labour", func(_ context.Context, steps int) (uint64, error) { return churn(steps), nil })

// churn is work of so many steps, by xorshift: time taken by others does not make it less.
func churn(steps int) uint64 {
	x := uint64(steps) | 1
	for range steps {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// stepsFor returns how many steps take so long on a CPU that does nothing else.
func stepsFor(d time.Duration) int {
	const steps = 100_000
	least := time.Hour
	for range 20 {
		start := time.Now()
		if churn(steps) == 0 { // which it never is
			return 0
		}
		least = min(least, time.Since(start))
	}
	return int(float64(steps) * d.Seconds() / least.Seconds())
}

func measureEfficiency(ctx context.Context, quick bool) (sample, error) {
	rounds, rows := 3, 3000
	if quick {
		rounds, rows = 1, 50
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 2, Spares: -1})
	if err != nil {
		return sample{}, err
	}
	defer pool.Close()
	steps := stepsFor(100 * time.Microsecond)
	want := churn(steps)
	return alternate(ctx, rounds, func() (float64, error) {
		start := time.Now()
		var next, right atomic.Int64
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for next.Add(1) <= int64(rows) {
					if churn(steps) == want {
						right.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if n := int(right.Load()); n != rows {
			return 0, fmt.Errorf("%d of %d rows are right", n, rows)
		}
		return time.Since(start).Seconds(), nil
	}, func() (float64, error) {
		start, n := time.Now(), 0
		for got, err := range labour.Map(ctx, pool, xme.Repeat(rows, steps)) {
			if err == nil && got != want {
				err = fmt.Errorf("row %d gave %d, not %d", n, got, want)
			}
			if err != nil {
				return 0, err
			}
			n++
		}
		if n != rows {
			return 0, fmt.Errorf("%d of %d rows came back", n, rows)
		}
		return time.Since(start).Seconds(), nil
	})
}
