package xme_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// brokenError is an error whose methods panic where it is nil, as a nil pointer that was made
// an error is.
type brokenError struct{ text string }

func (e *brokenError) Error() string        { return e.text }
func (e *brokenError) Is(target error) bool { return target.Error() == e.text }

// A context may end with a cause whose methods panic: that ends its calls, and not the driver.
//
// feature: S12
func TestCauseWhoseMethodsPanic(t *testing.T) { //nolint:tparallel // its cases are quick
	t.Parallel()
	queued := func(ctx context.Context, cancel func(), on xme.Executor) error {
		future := square.Go(ctx, on, 3)
		cancel()
		_, err := future.Wait(context.WithoutCancel(ctx))
		return err
	}
	running := func(ctx context.Context, cancel func(), on xme.Executor) error {
		begun, g, _ := gates(t)
		over := make(chan error, 1)
		go func() {
			_, err := saysAndWaits.Call(ctx, on, g)
			over <- err
		}()
		readBegun(t, begun, 1)
		cancel()
		return <-over
	}
	inProcess := func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: 1}) }
	for name, tc := range map[string]struct {
		open func(*testing.T) xme.Executor
		run  func(context.Context, func(), xme.Executor) error
	}{
		"queued": {func(t *testing.T) xme.Executor {
			on := inProcess(t)
			begun, g, release := gates(t)
			first := pass.Go(t.Context(), on, g)
			t.Cleanup(func() {
				_, _ = release.Write([]byte{1})
				if _, err := first.Wait(context.Background()); err != nil {
					t.Error(err)
				}
			})
			readBegun(t, begun, 1)
			return on
		}, queued},
		"running":          {inProcess, running},
		"running, process": {func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 1}) }, running},
		"running, inline":  {func(*testing.T) xme.Executor { return xme.Inline() }, running},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			err := tc.run(ctx, func() { cancel((*brokenError)(nil)) }, tc.open(t))
			e, ok := errors.AsType[*xme.Error](err)
			if !ok || e.Cause != xme.CauseCancelled || !errors.Is(err, context.Canceled) || !strings.Contains(e.Message, "brokenError whose method Error panics") {
				t.Errorf("%v, want that it was cancelled, and what with", err)
			}
		})
	}
}

// elsewhere is an executor that runs calls under another context than theirs.
type elsewhere struct{}

func (elsewhere) Submit(_ context.Context, calls []*xme.Call) (int, error) {
	for _, c := range calls {
		c.Finish(c.Run(context.Background()))
	}
	return len(calls), nil
}

// A call's deadline is told as one, whatever context its executor runs it under.
//
// feature: S11
func TestDeadlineUnderAnotherContext(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]xme.Executor{"another": elsewhere{}, "its own": xme.Inline()} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		_, err := obeys.Call(ctx, on, 1)
		cancel()
		e, ok := errors.AsType[*xme.Error](err)
		if !ok || e.Cause != xme.CauseCancelled || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || !strings.HasPrefix(e.Message, "context deadline exceeded") {
			t.Errorf("%s: %v, want the deadline", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := obeys.Call(ctx, elsewhere{}, 1); !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want that it was cancelled", err)
	}
}

// runsUnderNothing is an executor that makes a mistake.
type runsUnderNothing struct{}

func (runsUnderNothing) Submit(_ context.Context, calls []*xme.Call) (int, error) {
	var null context.Context
	_, err := calls[0].Run(null)
	return 0, fmt.Errorf("it ran: %w", err)
}
