package xme_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/xmetest"
)

// One suite, the same expectations, on every executor of this module.
// feature: S11
func TestExercise(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) xme.Executor{
		"inline":           func(*testing.T) xme.Executor { return xme.Inline() },
		"in-process":       func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: 3}) },
		"lanes":            func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 3}) },
		"socket":           func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 3, Link: xme.LinkSocket}) },
		"pipes":            func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 3, Link: xme.LinkPipe}) },
		"in-process lanes": openLanes, // the race detector sees both sides
		"one worker":       func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			xmetest.Exercise(t, open)
		})
	}
}

// openLanes opens a pool of goroutines that are called as processes are.
func openLanes(t *testing.T) xme.Executor {
	backend := proc.NewInProcess()
	backend.Lanes = sys.HasLanes
	pool, err := xme.Open(proc.WithBackend(t.Context(), backend), xme.Options{Workers: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// by is an executor that runs calls one at a time, in this process.
type by func(c *xme.Call) ([]byte, error)

func (b by) Submit(_ context.Context, calls []*xme.Call) (int, error) {
	for _, c := range calls {
		c.Finish(b(c))
	}
	return len(calls), nil
}

type crumb struct{ Text string }

// crumbs returns so many small parts, of 100 bytes each.
var crumbs = xme.Register("crumbs", func(_ context.Context, n int) ([]*crumb, error) {
	all := make([]*crumb, n)
	for i := range all {
		all[i] = &crumb{strings.Repeat("x", 100)}
	}
	return all, nil
})

// A result of many parts may be as large as any other, whoever runs the row.
// feature: S9, S11
func TestManySmallParts(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]xme.Executor{
		"inline":     xme.Inline(),
		"in-process": xmetest.OpenInProcess(t, xme.Options{Workers: 1}),
		"pool":       xmetest.Open(t, xme.Options{Workers: 1}),
		"Call.Run":   by(func(c *xme.Call) ([]byte, error) { return c.Run(c.Context()) }),
		"Serve": by(func(c *xme.Call) ([]byte, error) {
			args, err := c.AppendArgs(nil)
			if err != nil {
				return nil, err
			}
			return xme.Serve(c.Context(), c.Name(), args)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 30_000 // 3 MB
			got, err := crumbs.Call(t.Context(), on, n)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != n || len(got[n-1].Text) != 100 {
				t.Errorf("%d parts of %d", len(got), n)
			}
		})
	}
}

// onceOnly is an executor whose first call fails, and that does what refuse does with all others.
type onceOnly struct {
	calls  atomic.Int32
	refuse func() (int, error)
}

func (o *onceOnly) Submit(_ context.Context, calls []*xme.Call) (int, error) {
	if o.calls.Add(1) > 1 {
		return o.refuse()
	}
	calls[0].Finish(nil, errors.New("not yet"))
	return 1, nil
}

// A further attempt that the executor does not take ends the call with the reason, and is the last.
// feature: S11
func TestRetryIsRefused(t *testing.T) { //nolint:tparallel // its cases are quick
	t.Parallel()
	boom := errors.New("boom")
	ctx, cancel := context.WithCancelCause(t.Context())
	for name, tc := range map[string]struct {
		refuse func() (int, error)
		cause  xme.Cause
		is     error
		text   string
	}{
		"closed": {func() (int, error) { return 0, xme.ErrClosed }, xme.CauseClosed, xme.ErrClosed, "the pool was closed"},
		"other":  {func() (int, error) { return 0, boom }, xme.CauseReturned, boom, "boom"},
		"cancelled": {func() (int, error) {
			cancel(boom)
			return 0, nil
		}, xme.CauseCancelled, boom, "boom"},
	} {
		t.Run(name, func(t *testing.T) {
			callCtx := t.Context()
			if tc.cause == xme.CauseCancelled {
				callCtx = ctx
			}
			on := &onceOnly{refuse: tc.refuse}
			late, stop := context.WithTimeout(t.Context(), patience)
			defer stop()
			_, err := square.With(xme.Retries(3)).Go(callCtx, on, 1).Wait(late)
			e, ok := errors.AsType[*xme.Error](err)
			if !ok || e.Cause != tc.cause || e.Message != tc.text || !errors.Is(err, tc.is) {
				t.Fatalf("%v, want %v: %s", err, tc.cause, tc.text)
			}
			if e.Attempt != 2 || e.Attempts != 4 || !slices.Equal(e.Earlier, []string{"not yet"}) || on.calls.Load() != 2 {
				t.Errorf("attempt %d of %d, earlier %q, submitted %d times", e.Attempt, e.Attempts, e.Earlier, on.calls.Load())
			}
		})
	}
}
