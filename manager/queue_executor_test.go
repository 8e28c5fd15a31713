package manager_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// A queue with a guard runs functions as any executor does, one at a time.
// feature: X4, G1
func TestQueueIsAnExecutor(t *testing.T) {
	for name, o := range map[string]manager.Options{"here": {Queue: 10}, "process": {Process: true, Queue: 10}} {
		t.Run(name, func(t *testing.T) {
			m := openWith(t, o)
			g, err := m.StartGuard(t.Context(), manager.GuardOptions{Verbose: -1})
			must(t, err)
			n := 0
			for v, err := range double.Map(t.Context(), m.Queue(), slices.Values(numbers(100))) {
				if err != nil || v != 2*n {
					t.Fatalf("%d: %d, %v", n, v, err)
				}
				n++
			}
			if n != 100 {
				t.Errorf("%d results of 100", n)
			}
			var table xme.Table
			rows := double.Add(&table, slices.Values(numbers(30)))
			must(t, table.Run(t.Context(), m.Queue()))
			if v, err := rows.Values(); err != nil || len(v) != 30 || v[29] != 58 {
				t.Errorf("%v, %v", v, err)
			}
			if _, err := double.With(xme.Fresh()).Call(t.Context(), m.Queue(), 1); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("Fresh: %v", err)
			}
			_, err = g.Stop(t.Context())
			must(t, err)
		})
	}
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

// The result of a function that a guard runs may have many parts, and be large.
//
// feature: X4
func TestQueuedManySmallParts(t *testing.T) {
	const n = 30_000 // 3 MB
	m := open(t)
	g, err := m.StartGuard(t.Context(), manager.GuardOptions{Verbose: -1})
	must(t, err)
	if got, err := crumbs.Call(t.Context(), m.Queue(), n); err != nil || len(got) != n {
		t.Errorf("%d parts of %d, %v", len(got), n, err)
	}
	_, err = g.Stop(t.Context())
	must(t, err)
}

// A guard that waits is woken by a call that comes: one that looks now and then, as its periods say, would come too late for this test.
//
// feature: G2
func TestArrivalWakesTheGuard(t *testing.T) {
	for name, o := range map[string]manager.Options{"here": {}, "process": {Process: true}} {
		t.Run(name, func(t *testing.T) {
			m := openWith(t, o)
			c, err := manager.ShareNew(t.Context(), m, "", newCounter, 0)
			must(t, err)
			pool := xmetest.Open(t, xme.Options{Workers: 1})
			end := manager.Guard.Go(t.Context(), pool, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Idle: 100 * time.Hour, Verbose: 100 * time.Hour}})
			for n := range 3 { // the guard waits for the next one when it reports the one before
				if v, err := double.Call(soon(t), m.Queue(), n); err != nil || v != 2*n {
					t.Errorf("%d: %d, %v", n, v, err)
				}
				f, err := add.Append(soon(t), c, 1)
				must(t, err)
				if v, err := f.Wait(soon(t)); err != nil || v != n+1 {
					t.Errorf("%d: %d, %v", n, v, err)
				}
			}
			must(t, m.Queue().Stop(soon(t)))
			if r, err := end.Wait(soon(t)); err != nil || r.Calls != 6 || r.Ended != "stopped" {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

func numbers(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

type door struct{ In, Out *shm.Event }

func newDoor(t *testing.T) door {
	t.Helper()
	in, err := shm.NewEvent()
	must(t, err)
	out, err := shm.NewEvent()
	must(t, err)
	t.Cleanup(func() {
		_ = in.Close()
		_ = out.Close()
	})
	return door{in, out}
}

// Hold is as long as it is let.
func (c *counter) Hold(ctx context.Context, s door) (int, error) {
	if err := s.In.Set(); err != nil {
		return 0, err
	}
	return 1, s.Out.Wait(ctx)
}

var holdsOn = manager.Method("hold", (*counter).Hold)

// The context of a queued function's caller ends the wait for it, and neither it nor its place in the queue.
// feature: X4
func TestQueuedFunctionOutlivesItsCaller(t *testing.T) {
	for name, o := range map[string]manager.Options{"here": {}, "process": {Process: true}} {
		t.Run(name, func(t *testing.T) {
			m := openWith(t, o)
			c, err := manager.ShareNew(t.Context(), m, "", newCounter, 0)
			must(t, err)
			g, err := m.StartGuard(t.Context(), manager.GuardOptions{Verbose: -1})
			must(t, err)
			s := newDoor(t)
			first, err := holdsOn.Append(t.Context(), c, s)
			must(t, err)
			must(t, s.In.Wait(t.Context()))
			ctx, cancel := context.WithCancel(t.Context())
			second := double.Go(ctx, m.Queue(), 1)
			cancel()
			if _, err := second.Wait(t.Context()); !errors.Is(err, context.Canceled) {
				t.Errorf("its future: %v", err)
			}
			must(t, s.Out.Set())
			_, err = first.Wait(t.Context())
			must(t, err)
			for i := range 2 {
				r, err := m.Queue().Result(t.Context())
				must(t, err)
				if r.Err != nil || i == 1 && r.Value.String() != "2" {
					t.Errorf("result %d: %v, %v", i, r.Value, r.Err)
				}
			}
			_, err = g.Stop(t.Context())
			must(t, err)
		})
	}
}

// A manager that is closed ends the context of what its guard runs.
// feature: G1
func TestCloseEndsWhatTheGuardRuns(t *testing.T) {
	for name, o := range map[string]manager.Options{"here": {}, "process": {Process: true}} {
		t.Run(name, func(t *testing.T) {
			m := openWith(t, o)
			g, err := m.StartGuard(t.Context(), manager.GuardOptions{Verbose: -1})
			must(t, err)
			f := waitsForEnd.Go(t.Context(), m.Queue(), 0)
			<-begun
			must(t, m.Close())
			if _, err := f.Wait(t.Context()); !errors.Is(err, manager.ErrClosed) {
				t.Errorf("the function: %v", err)
			}
			<-ended
			_, _ = g.Wait(t.Context())
		})
	}
}

var (
	begun, ended = make(chan struct{}), make(chan struct{})
	waitsForEnd  = xme.Register("waitsForEnd", func(ctx context.Context, _ int) (int, error) {
		begun <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return 0, ctx.Err()
	})
)
