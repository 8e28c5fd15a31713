package xme_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// busyContext is a context of somebody's own: who asks it for a value waits for a call.
type busyContext struct {
	context.Context
	call func()
}

func (c busyContext) Value(key any) any {
	c.call()
	return c.Context.Value(key)
}

// callsUnderBusy makes a call under a busyContext in a task.
var callsUnderBusy = xme.Register("callsUnderBusy", func(ctx context.Context, n int) (int, error) {
	on := xme.Current(ctx)
	return square.Call(busyContext{ctx, func() { _, _ = square.Call(ctx, on, 2) }}, on, n)
})

// retriesUnderBusy has a call fail under a busyContext in a task, which asks whether to try again.
var retriesUnderBusy = xme.Register("retriesUnderBusy", func(ctx context.Context, n int) (int, error) {
	on := xme.Current(ctx)
	busy := busyContext{ctx, func() { _, _ = square.Call(ctx, on, 2) }}
	_, err := refusesAll.With(xme.Retries(1)).Go(busy, on, n).Wait(ctx)
	var e *xme.Error
	if !errors.As(err, &e) {
		return 0, err
	}
	return e.Attempt, nil
})

var refusesAll = xme.Register("refusesAll", func(context.Context, int) (int, error) { return 0, errors.New("no") })

// Methods of a caller's context are not run with the pool locked, nor with what a worker knows of its tasks' calls.
// feature: S12, U7
func TestContextWithMethods(t *testing.T) { //nolint:tparallel // its cases need the CPUs
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	t.Run("pool", func(t *testing.T) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			busy := busyContext{ctx, func() {
				other, cancel := context.WithCancel(ctx)
				defer cancel()
				_, _ = square.Go(other, pool, 2).Wait(ctx)
			}}
			if n, err := square.Go(busy, pool, 3).Wait(ctx); n != 9 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}()
		select {
		case <-done:
		case <-time.After(2 * patience): // ctx ends nothing that waits for a lock
			panic("the call hangs: its context's methods are run with a lock held")
		}
	})
	t.Run("task", func(t *testing.T) {
		if n, err := callsUnderBusy.Call(ctx, pool, 3); n != 9 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("task, tried again", func(t *testing.T) {
		if n, err := retriesUnderBusy.Call(ctx, pool, 3); n != 2 || err != nil {
			t.Errorf("attempt %d, %v", n, err)
		}
	})
	t.Run("cancel", func(t *testing.T) { // under such a context, too
		_, g, _ := gates(t)
		begun, cancel := context.WithCancel(ctx)
		f := serves.Go(busyContext{begun, func() {}}, pool, g)
		cancel()
		if _, err := f.Wait(ctx); ctx.Err() != nil {
			t.Error(err)
		}
	})
}
