package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

func init() {
	const floorIs = "one call in a pool of 1 worker, as call-hot, pinned the same way"
	rows = append(
		rows, row{
			name:    "object",
			what:    "a method of a shared object, from int to int, called back to back by a worker; the manager in the driver, both pinned to one CPU each",
			floorIs: floorIs,
			unit:    inSeconds,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureObject(ctx, false, quick) },
			figure:  shareOfFloor, figureUnit: asRatio, must: 0.5, reach: 0.9, atLeast: true,
		}, row{
			name:    "object-process",
			what:    "the same called by the driver; the manager in a process of its own",
			floorIs: floorIs,
			unit:    inSeconds,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureObject(ctx, true, quick) },
			figure:  shareOfFloor, figureUnit: asRatio, must: 0.5, reach: 0.9, atLeast: true,
		},
	)
}

// tally is an object that is called.
type tally struct{ n int }

// Add adds n and returns the sum.
func (t *tally) Add(_ context.Context, n int) (int, error) {
	t.n += n
	return t.n, nil
}

// PID returns the number of the process that the object lives in.
func (t *tally) PID(context.Context, struct{}) (int, error) { return os.Getpid(), nil }

var (
	tallyAdd = manager.Method("add", (*tally).Add)
	tallyPID = manager.Method("pid", (*tally).PID)
	newTally = manager.Constructor("new", func(context.Context, struct{}) (*tally, error) { return &tally{}, nil })
)

// tallyCalls asks a worker to call an object.
type tallyCalls struct {
	Tally *manager.Object[tally]
	Block time.Duration
}

var callTally = xme.Register("callTally", func(ctx context.Context, c tallyCalls) (float64, error) {
	return perCall(c.Block, tallyCaller(ctx, c.Tally))
})

// tallyCaller returns a function that makes one call and checks what it gives.
func tallyCaller(ctx context.Context, o *manager.Object[tally]) func() error {
	last := -1
	return func() error {
		got, err := tallyAdd.Call(ctx, o, 1)
		if err == nil && last >= 0 && got != last+1 {
			err = fmt.Errorf("%d came after %d", got, last)
		}
		last = got
		return err
	}
}

func measureObject(ctx context.Context, process, quick bool) (s sample, err error) {
	rounds, block := 20, 25*time.Millisecond
	if quick {
		rounds, block = 1, time.Millisecond
	}
	pool, err := xme.Open(ctx, alone())
	if err != nil {
		return s, err
	}
	defer pool.Close()
	m, err := manager.Open(ctx, manager.Options{Process: process})
	if err != nil {
		return s, err
	}
	defer m.Close()
	o, err := manager.ShareNew(ctx, m, "", newTally, struct{}{})
	if err != nil {
		return s, err
	}
	worker := pool.Workers()[0].PID
	call := caller(ctx, pool)
	floor := apart(worker, func() (float64, error) { return perCall(block, call) })
	if process {
		pid, err := tallyPID.Call(ctx, o, struct{}{})
		if err != nil {
			return s, err
		}
		one := tallyCaller(ctx, o)
		return alternate(ctx, rounds, floor, apart(pid, func() (float64, error) { return perCall(block, one) }))
	}
	ours := func() (float64, error) { return callTally.Call(ctx, pool, tallyCalls{o, block}) }
	return alternate(ctx, rounds, floor, apart(worker, ours))
}
