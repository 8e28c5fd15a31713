package main

import (
	"context"
	"fmt"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

func init() {
	const floorIs = "one call of the same method, as object, pinned the same way"
	rows = append(
		rows, row{
			name:    "guard",
			what:    "a call of that method appended to the queue by a worker, back to back, until the last is done; manager and guard in the driver, both pinned to one CPU each",
			floorIs: floorIs,
			unit:    inSeconds,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureGuard(ctx, guardHere, quick) },
			figure:  shareOfFloor, figureUnit: asRatio, must: 0.5, reach: 0.9, atLeast: true,
		}, row{
			name:    "guard-service",
			what:    "the same, the guard as a service row in a process of its own",
			floorIs: floorIs,
			unit:    inSeconds,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureGuard(ctx, guardApart, quick) },
			figure:  shareOfFloor, figureUnit: asRatio, must: 0.5, reach: 0.9, atLeast: true,
		}, row{
			name:    "guard-function",
			what:    "a function of the table instead of a method, appended by a worker, which waits for all of a block; the guard as a service row",
			floorIs: floorIs,
			unit:    inSeconds,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureGuard(ctx, guardFunction, quick) },
			figure:  shareOfFloor, figureUnit: asRatio,
		}, row{
			name:    "guard-wait",
			what:    "the same, the guard in the driver, each call waited for before the next is appended",
			floorIs: floorIs,
			unit:    inSeconds,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureGuard(ctx, guardEach, quick) },
			figure:  shareOfFloor, figureUnit: asRatio,
		},
	)
}

// How a guard is measured.
const (
	guardHere = iota
	guardApart
	guardEach
	guardFunction
)

// queueCalls asks a worker to have calls queued.
type queueCalls struct {
	Tally *manager.Object[tally]
	Block time.Duration
	Each  bool // is waited for
}

var queueTally = xme.Register("queueTally", func(ctx context.Context, c queueCalls) (float64, error) {
	first, err := tallyAdd.Call(ctx, c.Tally, 0)
	if err != nil {
		return 0, err
	}
	var last *manager.Future[int]
	n, begin := 0, time.Now()
	for time.Since(begin) < c.Block {
		for range 50 {
			if last, err = tallyAdd.Append(ctx, c.Tally, 1); err != nil {
				return 0, err
			}
			n++
			if c.Each {
				if _, err := last.Wait(ctx); err != nil {
					return 0, err
				}
			}
		}
	}
	sum, err := last.Wait(ctx)
	took := time.Since(begin)
	if err == nil && sum != first+n {
		err = fmt.Errorf("%d calls counted %d", n, sum-first)
	}
	return took.Seconds() / float64(n), err
})

// plain is a function that is queued.
var plain = xme.Register("plain", func(_ context.Context, n int) (int, error) { return n + 1, nil })

var queuePlain = xme.Register("queuePlain", func(ctx context.Context, c queueCalls) (float64, error) {
	q := c.Tally.Manager().Queue()
	var all []*xme.Future[int]
	begin := time.Now()
	for time.Since(begin) < c.Block {
		all = append(all, plain.Go(ctx, q, len(all)))
	}
	for i, f := range all {
		n, err := f.Wait(ctx)
		if err != nil {
			return 0, err
		}
		if n != i+1 {
			return 0, fmt.Errorf("plain(%d) is %d", i, n)
		}
	}
	return time.Since(begin).Seconds() / float64(len(all)), nil
})

func measureGuard(ctx context.Context, how int, quick bool) (s sample, err error) {
	rounds, block := 20, 25*time.Millisecond
	if quick {
		rounds, block = 1, time.Millisecond
	}
	pool, err := xme.Open(ctx, alone())
	if err != nil {
		return s, err
	}
	defer pool.Close()
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return s, err
	}
	defer m.Close()
	o, err := manager.ShareNew(ctx, m, "", newTally, struct{}{})
	if err != nil {
		return s, err
	}
	options := manager.GuardOptions{Verbose: -1}
	if how == guardApart || how == guardFunction {
		fu := manager.Guard.Go(ctx, pool, manager.GuardCall{Manager: m, Options: options})
		defer func() {
			_ = m.Queue().Stop(ctx)
			_, _ = fu.Wait(ctx)
		}()
		for guarded := false; !guarded; { // until it is there
			select {
			case <-fu.Done():
				_, err := fu.Wait(ctx)
				return s, fmt.Errorf("the guard ended before it began: %w", err)
			default:
			}
			state, err := m.Queue().State(ctx)
			if err != nil {
				return s, err
			}
			guarded = state.Guarded
		}
	} else {
		g, err := m.StartGuard(ctx, options)
		if err != nil {
			return s, err
		}
		defer func() {
			if _, serr := g.Stop(ctx); err == nil {
				err = serr
			}
		}()
	}
	worker := pool.Workers()[0].PID
	floor := func() (float64, error) { return callTally.Call(ctx, pool, tallyCalls{o, block}) }
	if how == guardFunction {
		ours := func() (float64, error) { return queuePlain.Call(ctx, pool, queueCalls{o, block, false}) }
		return alternate(ctx, rounds, apart(worker, floor), apart(worker, ours))
	}
	ours := func() (float64, error) { return queueTally.Call(ctx, pool, queueCalls{o, block, how == guardEach}) }
	return alternate(ctx, rounds, apart(worker, floor), apart(worker, ours))
}
