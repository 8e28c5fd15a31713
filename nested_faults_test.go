package xme_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// asking is a row that fails once and leaves a service behind, then asks another for
// something.
type asking struct{ Stubborn, Fail, Ask gate }

var (
	asked bool

	asks = xme.Register("asks", func(ctx context.Context, a asking) (int, error) {
		if !asked {
			asked = true
			pass.With(xme.Service()).Go(ctx, xme.Current(ctx), a.Stubborn)
			_, _ = a.Fail.Wait.Read(make([]byte, 1))
			return 0, errors.New("the first attempt")
		}
		return passesOn.Call(ctx, xme.Current(ctx), a.Ask)
	})

	passesOn = xme.Register("passesOn", func(ctx context.Context, g gate) (int, error) {
		_, _ = g.Said.Write([]byte{byte(g.Row)})
		_, _ = g.Wait.Read(make([]byte, 1))
		return square.Call(ctx, xme.Current(ctx), 3)
	})
)

// What an earlier attempt left under way does not end the loan of the present one.
// feature: U7
func TestLoanOfAnotherAttempt(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Grace: patience})
	begun1, stubborn, release1 := gates(t)
	_, fail, release2 := gates(t)
	begun3, ask, release3 := gates(t)
	f := asks.With(xme.Retries(1)).Go(t.Context(), pool, asking{stubborn, fail, ask})
	readBegun(t, begun1, 1)
	_, _ = release2.Write([]byte{0})
	readBegun(t, begun3, 1)
	_, _ = release1.Write([]byte{0})
	wait(t, func() bool { return pool.Stats().Running == 2 }) // the service has ended
	_, _ = release3.Write([]byte{0})
	if n, err := f.Wait(t.Context()); n != 9 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// Services that are cancelled or refused leave no process behind that would keep
// others out.
// feature: S10
func TestServicesLeaveNoProcess(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]xme.Options{"cancelled": {}, "refused": {Link: xme.LinkPipe}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "refused" && runtime.GOOS == "windows" {
				t.Skip("pipes carry files there")
			}
			o.Workers, o.MaxProcesses, o.Spares = 1, 3, -1
			pool := xmetest.Open(t, o)
			_, g, _ := gates(t)
			for range 6 {
				ctx, cancel := context.WithCancel(t.Context())
				f := pass.With(xme.Service()).Go(ctx, pool, g)
				if name == "cancelled" {
					cancel()
				}
				if _, err := f.Wait(t.Context()); err == nil || strings.Contains(err.Error(), "MaxProcesses") {
					t.Errorf("a service %s: %v", name, err)
				}
				cancel()
				wait(t, func() bool { return pool.Stats().Processes <= 2 })
			}
			if n, err := square.With(xme.Service()).Call(t.Context(), pool, 3); n != 9 || err != nil {
				t.Errorf("a service afterwards: %d, %v", n, err)
			}
		})
	}
}

var asksFresh = xme.Register("asksFresh", func(ctx context.Context, n int) (int, error) {
	return square.With(xme.Fresh()).Call(ctx, xme.Current(ctx), n)
})

// A nested call that needs another process gets it in an idle worker's place.
// feature: U7
func TestNestedFreshAtTheLimit(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2, MaxProcesses: 2, Spares: -1})
	waitForRanks(t, pool, 2)
	for range 5 {
		for _, f := range square.Broadcast(t.Context(), pool, 1) {
			if _, err := f.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := asksFresh.Call(t.Context(), pool, 5); n != 25 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		waitForRanks(t, pool, 2)
	}
}

var waitsForOther = xme.Register("waitsForOther", func(ctx context.Context, g gate) (int, error) {
	return serves.Call(ctx, xme.Current(ctx), g)
})

// Close does not wait for the grace period of tasks that wait for nested calls and
// listen.
// feature: U7
func TestCloseWithNestedCall(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Grace: time.Hour})
	begun, g, _ := gates(t)
	f := waitsForOther.Go(t.Context(), pool, g)
	readBegun(t, begun, 1)
	_ = pool.Close()
	if _, err := f.Wait(t.Context()); !errors.Is(err, xme.ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
}

// nosy is an error whose Is looks at the pool.
type nosyError struct{ pool *xme.Pool }

func (nosyError) Error() string   { return "nosy" }
func (e nosyError) Is(error) bool { e.pool.Stats(); return false }

// A caller's cause may have methods of its own: they are not run with the pool locked.
// feature: S12
func TestCauseWithMethods(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Grace: patience})
	ctx, cancel := context.WithCancelCause(t.Context())
	begun, g, release := gates(t)
	f := pass.Go(ctx, pool, g)
	readBegun(t, begun, 1)
	cancel(nosyError{pool})
	_, _ = release.Write([]byte{0})
	if n, err := f.Wait(t.Context()); n != 0 || err != nil {
		t.Errorf("a row that returned all the same: %d, %v", n, err)
	}
}

// Calls are counted, not attempts.
// feature: S12
func TestStatsCountCalls(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	if _, err := exit.With(xme.Retries(1)).Call(t.Context(), pool, 6); !errors.Is(err, xme.ErrWorkerLost) {
		t.Error(err)
	}
	if s := pool.Stats(); s.Failed != 1 || s.Done != 0 || s.Deaths != 2 {
		t.Errorf("%+v", s)
	}
}
