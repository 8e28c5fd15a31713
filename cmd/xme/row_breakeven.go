package main

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/xenonmp/xme"
)

func init() {
	rows = append(rows, row{
		name:    "break-even",
		what:    "how long a row must take for Map in a pool of 2 workers that is open already to be as fast as a loop in this process, not pinned",
		floorIs: "the same for 2 goroutines of this process that take rows from a channel, one by one, and send their results on another",
		unit:    inSeconds,
		measure: measureBreakEven,
		figure:  oursAlone, figureUnit: inSeconds, must: 5e-6, reach: 1e-6,
	})
}

// Break-even is looked for between these.
const (
	shortestRow = 20 * time.Nanosecond
	longestRow  = 200 * time.Microsecond
)

func measureBreakEven(ctx context.Context, quick bool) (sample, error) {
	budget, halvings := 40*time.Millisecond, 9
	if quick {
		budget, halvings = time.Millisecond, 2
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 2, Spares: -1})
	if err != nil {
		return sample{}, err
	}
	defer pool.Close()
	perSecond := float64(stepsFor(time.Millisecond)) * 1e3
	throughPool := func(n, steps int) error { return mapChurn(ctx, pool, n, steps) }
	var s sample
	if s.Floor, err = breakEven(perSecond, budget, halvings, throughChannels); err != nil {
		return s, err
	}
	s.Ours, err = breakEven(perSecond, budget, halvings, throughPool)
	return s, err
}

// breakEven returns, in seconds, how long a row must take for run to be as fast as a loop: by halving the span between
// the shortest and the longest, by their ratio.
func breakEven(stepsPerSecond float64, budget time.Duration, halvings int, run func(n, steps int) error) (float64, error) {
	short, long := shortestRow.Seconds(), longestRow.Seconds()
	for range halvings {
		length := math.Sqrt(short * long)
		steps := max(int(length*stepsPerSecond), 1)
		n := max(int(budget.Seconds()/length), 16)
		faster := 0
		for range 3 {
			start := time.Now()
			want := churn(steps)
			for range n {
				if churn(steps) != want {
					return 0, fmt.Errorf("%d steps give two results", steps)
				}
			}
			loop := time.Since(start)
			start = time.Now()
			if err := run(n, steps); err != nil {
				return 0, err
			}
			if time.Since(start) < loop {
				faster++
			}
		}
		if faster >= 2 {
			long = length
		} else {
			short = length
		}
	}
	return math.Sqrt(short * long), nil
}

func mapChurn(ctx context.Context, on xme.Executor, n, steps int) error {
	want, rows := churn(steps), 0
	for got, err := range labour.Map(ctx, on, xme.Repeat(n, steps)) {
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("row %d gave %d, not %d", rows, got, want)
		}
		rows++
	}
	if rows != n {
		return fmt.Errorf("%d of %d rows came back", rows, n)
	}
	return nil
}

func throughChannels(n, steps int) error {
	in, out := make(chan int, 64), make(chan uint64, 64)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for steps := range in {
				out <- churn(steps)
			}
		})
	}
	go func() {
		for range n {
			in <- steps
		}
		close(in)
		wg.Wait()
		close(out)
	}()
	want, rows := churn(steps), 0
	for got := range out {
		if got != want {
			return fmt.Errorf("a row gave %d, not %d", got, want)
		}
		rows++
	}
	if rows != n {
		return fmt.Errorf("%d of %d rows came back", rows, n)
	}
	return nil
}
