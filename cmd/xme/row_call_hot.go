package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
)

func init() {
	const what = "Call of a function from int to int in a pool of 1 worker, back to back, every result checked; driver and worker "
	const floor = "2 processes that spin on a word in shared memory, there and back, pinned to one CPU each"
	rows = append(
		rows, row{
			name:    "call-hot",
			what:    what + "pinned to one CPU each",
			floorIs: floor,
			unit:    inSeconds,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureCallHot(ctx, true, quick) },
			figure:  timesFloor, figureUnit: asRatio, must: 4, reach: 2,
		}, row{
			name:    "call-hot-free",
			what:    what + "not pinned",
			floorIs: floor,
			unit:    inSeconds,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureCallHot(ctx, false, quick) },
			figure:  timesFloor, figureUnit: asRatio, must: 4, reach: 2,
		},
	)
	roles["spin"] = func(memory []byte, _ string) error {
		return answerCalls(memory, func(*atomic.Uint32) {}, await)
	}
}

// alone are the options of a pool whose one worker's calls are measured: no spare starts beside them.
func alone() xme.Options { return xme.Options{Workers: 1, Spares: -1} }

// caller returns a function that makes one call and checks what it gives.
func caller(ctx context.Context, pool *xme.Pool) func() error {
	n := 0
	return func() error {
		n++
		got, err := increment.Call(ctx, pool, n)
		if err == nil && got != n+1 {
			err = fmt.Errorf("%d became %d", n, got)
		}
		return err
	}
}

func measureCallHot(ctx context.Context, pin, quick bool) (s sample, err error) {
	rounds, block := 20, 25*time.Millisecond
	if quick {
		rounds, block = 1, time.Millisecond
	}
	p, err := startPeer(ctx, "spin", 2*line)
	if err != nil {
		return s, err
	}
	defer closePeers(&err, p)
	pool, err := xme.Open(ctx, alone())
	if err != nil {
		return s, err
	}
	defer pool.Close()
	words, call := newPingPong(p), caller(ctx, pool)
	floor := func() (float64, error) { return words.perTrip(block) }
	ours := func() (float64, error) { return perCall(block, call) }
	if pin {
		ours = apart(pool.Workers()[0].PID, ours)
	}
	return alternate(ctx, rounds, apart(p.pid(), floor), ours)
}
