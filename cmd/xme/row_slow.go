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
		name: "slow-row",
		what: "2 workers, a row that waits 1 s, then 2,000 of 1 µs in bursts of 64 through Unordered, not pinned: " +
			"p99.9 of the time from a small row's being read to its result",
		floorIs: "the same without the slow row",
		unit:    inSeconds,
		measure: measureSlowRow,
		figure:  oursAlone, figureUnit: inSeconds, must: 1e-3, reach: 300e-6,
	})
}

const (
	burstRows = 64
	burstGap  = 15 * time.Millisecond
)

// tarry takes so long: a short time by spinning, a long one asleep.
var tarry = xme.Register("tarry", func(_ context.Context, d time.Duration) (time.Duration, error) {
	if d > time.Millisecond {
		<-time.After(d)
		return d, nil
	}
	start := time.Now()
	for time.Since(start) < d {
	}
	return d, nil
})

func measureSlowRow(ctx context.Context, quick bool) (s sample, err error) {
	slow, n := time.Second, 2000
	if quick {
		slow, n = 50*time.Millisecond, 2*burstRows
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 2, Spares: -1})
	if err != nil {
		return s, err
	}
	defer pool.Close()
	if _, err := delays(ctx, pool, 0, 2*burstRows); err != nil { // to warm up
		return s, err
	}
	without, err := delays(ctx, pool, 0, n)
	if err != nil {
		return s, err
	}
	with, err := delays(ctx, pool, slow, n)
	return sample{Floor: percentile(without, 0.999), Ours: percentile(with, 0.999)}, err
}

// delays runs n small rows behind one that takes so long, if that is more than 0, and returns how many seconds each
// took from when it was read.
func delays(ctx context.Context, pool *xme.Pool, first time.Duration, n int) ([]float64, error) {
	var all []float64
	read := make([]time.Time, n+1) // written before the row is submitted, read after its result is there
	for r := range tarry.Unordered(ctx, pool, bursts(first, n, read)) {
		switch {
		case r.Err != nil:
			return nil, r.Err
		case r.Index > 0:
			all = append(all, time.Since(read[r.Index]).Seconds())
		}
	}
	if len(all) != n {
		return nil, fmt.Errorf("%d of %d rows came back", len(all), n)
	}
	return all, nil
}

// bursts gives one row that takes so long, and n small ones, in bursts: a row waits for no more than the burst before
// it.
func bursts(first time.Duration, n int, read []time.Time) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		if !yield(first) {
			return
		}
		next := time.Now()
		for i := 1; i <= n; i++ {
			if i%burstRows == 0 {
				next = next.Add(burstGap)
				<-time.After(time.Until(next))
			}
			read[i] = time.Now()
			if !yield(time.Microsecond) {
				return
			}
		}
	}
}
