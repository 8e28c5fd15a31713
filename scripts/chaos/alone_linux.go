package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/xenonmp/xme"
)

// double is a function whose arguments and results are copied as they lie: its calls,
// made by one goroutine, go the pool's short way.
var double = xme.Register("double", func(ctx context.Context, n int) (int, error) {
	switch {
	case n%exitsEvery == 0:
		os.Exit(exitCode)
	case n%failsEvery == 0:
		return 0, errChaos
	case n%waitsEvery == 0:
		select { // some are cancelled meanwhile
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Duration(n%2000) * time.Microsecond):
		}
	}
	return 2 * n, nil
})

// What some calls of double do: one in so many.
const (
	waitsEvery = 97
	failsEvery = 401
	exitsEvery = 1999
	exitCode   = 9
)

// alone makes calls one by one, sometimes from two goroutines; sometimes the pool is closed meanwhile. No more are made once until says so.
func (t *trial) alone(rng *rand.Rand, calls int, until func() bool) {
	var wg sync.WaitGroup
	if rng.IntN(16) == 0 {
		after := time.Duration(rng.IntN(20_000)) * time.Microsecond
		wg.Go(func() {
			time.Sleep(after)
			t.r.disturbs.Add(1)
			t.closing.Store(true)
			_ = t.pool.Load().Close()
		})
	}
	for range 1 + rng.IntN(2)*rng.IntN(2) {
		rng := rand.New(rand.NewPCG(rng.Uint64(), 2))
		wg.Go(func() {
			for range calls {
				if t.closing.Load() || until() || !t.callAlone(rng) {
					return
				}
			}
		})
	}
	wg.Wait()
}

// callAlone makes one call and checks how it ends. It reports false if the pool was closed.
func (t *trial) callAlone(rng *rand.Rand) bool {
	n := 1 + rng.IntN(1<<40)
	ctx, late := context.Background(), false
	if rng.IntN(4) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		if late = rng.IntN(8) == 0; late {
			timer := time.AfterFunc(time.Duration(rng.IntN(1000))*time.Microsecond, cancel)
			defer timer.Stop()
		}
	}
	got, err := double.Call(ctx, t.pool.Load(), n)
	return t.judged(alone, n, got, err, late) != closed
}

// judged counts the end of a row of double, and complains if it is none that it may have; late says that its context ends.
func (t *trial) judged(k kind, n, got int, err error, late bool) outcome {
	out, complaint := judgeDouble(n, got, err)
	switch {
	case complaint != "":
	case out == cancelled && !late:
		complaint = "cancelled, and nobody did: " + err.Error()
	case out == closed && !t.closing.Load():
		complaint = "closed, and nobody closed its pool: " + err.Error()
	case out == noPlace && !t.tight:
		complaint = "found no place: " + err.Error()
	case out == noWorker && t.strikes.Load() < startTries:
		complaint = "its workers did not start: " + err.Error()
	case out == lost:
		t.lose(job{Kind: k}, err)
	}
	if complaint != "" {
		t.r.complain(t.seed, "double(%d): %s", n, complaint)
	}
	t.r.rows[k][out].Add(1)
	t.beat()
	return out
}

// judgeDouble is judge for double.
func judgeDouble(n, got int, err error) (outcome, string) {
	var e *xme.Error
	switch {
	case err == nil && (n%exitsEvery == 0 || n%failsEvery == 0):
		return asMeant, "a value, want an error"
	case err == nil && got != 2*n:
		return asMeant, fmt.Sprintf("the value %d", got)
	case err == nil:
		return asMeant, ""
	case got != 0:
		return asMeant, fmt.Sprintf("the value %d beside the error %v", got, err)
	case !errors.As(err, &e):
		return asMeant, fmt.Sprintf("its error is no *xme.Error but a %T: %v", err, err)
	case n%exitsEvery == 0 && e.Cause == xme.CauseLost && e.ExitCode == exitCode,
		n%failsEvery == 0 && e.Cause == xme.CauseReturned && errors.Is(err, errChaos):
		return asMeant, ""
	}
	return disturbed(err, e)
}
