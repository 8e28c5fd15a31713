package xme_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

var (
	// computes looks at its context, and makes no system call.
	computes = xme.Register("computes", func(ctx context.Context, _ int) (int, error) {
		for ctx.Err() == nil {
		}
		return 0, ctx.Err()
	})
	// starves has a goroutine compute until this one has gone on, and returns how many processors there are.
	starves = xme.Register("starves", func(context.Context, int) (int, error) {
		begun, over := make(chan struct{}), atomic.Bool{}
		go func() {
			close(begun)
			for !over.Load() {
			}
		}()
		<-begun
		over.Store(true)
		return runtime.GOMAXPROCS(0), nil
	})
)

// A worker with one processor that has slept is interrupted as any Go program: a row that computes hears that it is cancelled, and its goroutines take turns.
//
// feature: S12
func TestWorkersAreInterrupted(t *testing.T) {
	t.Setenv("GOMAXPROCS", "1")
	const long = 15 * time.Second // the monitor may sleep for a minute
	for name, link := range map[string]xme.Link{"auto": xme.LinkAuto, "pipes": xme.LinkPipe} {
		pool := xmetest.Open(t, xme.Options{Workers: 1, Link: link, Grace: long})
		for range 3 { // the first by the link, the others by a lane, if there is one
			<-time.After(300 * time.Millisecond) // all sleeps, the runtime's monitor too
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := computes.Call(ctx, pool, 0)
			cancel()
			e, ok := errors.AsType[*xme.Error](err)
			if !ok || e.Cause != xme.CauseCancelled || e.Killed {
				t.Errorf("%s: %v, want it cancelled, and not killed", name, err)
			}
			<-time.After(300 * time.Millisecond)
			ctx, cancel = context.WithTimeout(t.Context(), long)
			if n, err := starves.Call(ctx, pool, 0); n != 1 || err != nil {
				t.Errorf("%s: on %d processors: %v", name, n, err)
			}
			cancel()
		}
	}
}
