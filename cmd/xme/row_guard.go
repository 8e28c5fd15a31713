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
	if how == guardApart {
		fu := manager.Guard.Go(ctx, pool, manager.GuardCall{Manager: m, Options: options})
		defer func() {
			_ = m.Queue().Stop(ctx)
			_, _ = fu.Wait(ctx)
		}()
		for guarded := false; !guarded; { // until it is there
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
		defer g.Stop(ctx)
	}
	worker := pool.Workers()[0].PID
	floor := func() (float64, error) { return callTally.Call(ctx, pool, tallyCalls{o, block}) }
	ours := func() (float64, error) { return queueTally.Call(ctx, pool, queueCalls{o, block, how == guardEach}) }
	return alternate(ctx, rounds, apart(worker, floor), apart(worker, ours))
}
