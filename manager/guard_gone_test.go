package manager_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// leave ends the process that it runs in: the guard's.
var leave = xme.Register("leave", func(context.Context, struct{}) (struct{}, error) {
	os.Exit(7)
	return struct{}{}, nil
})

// leaveLast queues a function that the guard does not survive, and has it run.
var leaveLast = xme.Register("leaveLast", func(ctx context.Context, m *manager.Manager) (bool, error) {
	_, err := leave.Call(ctx, m.Queue(), struct{}{})
	return errors.Is(err, manager.ErrGuardLost), nil
})

// startsBegun is closed by startAndWait.
var startsBegun chan struct{}

var startAndWait = xme.Register("startAndWait", func(ctx context.Context, _ *manager.Manager) (struct{}, error) {
	close(startsBegun)
	<-ctx.Done()
	return struct{}{}, context.Cause(ctx)
})

// A start-up function hears that the guard's context has ended; no guard runs afterwards.
//
// feature: G2
func TestStartHearsItsContext(t *testing.T) {
	within, over := context.WithTimeout(t.Context(), 2*time.Minute)
	defer over()
	m := openWith(t, manager.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	startsBegun = make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		_, err := m.StartGuard(ctx, manager.GuardOptions{Idle: -1, Verbose: -1, Start: startAndWait.Name()})
		ended <- err
	}()
	<-startsBegun
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-within.Done():
		t.Fatal("it hangs")
	}
	if s, err := m.Queue().State(within); s.Guarded || err != nil {
		t.Errorf("%+v, %v", s, err)
	}
}

// lasts runs until its test says so.
var lasts = xme.Register("lasts", func(context.Context, struct{}) (struct{}, error) {
	close(lastsBegun)
	<-lastsOn
	return struct{}{}, nil
})

var lastsBegun, lastsOn chan struct{}

// A table whose context ends while its guard drains returns the cause, and the queue is drained all the same.
//
// feature: G1
func TestTableEndsBeforeItsGuard(t *testing.T) {
	within, over := context.WithTimeout(t.Context(), 2*time.Minute)
	defer over()
	m := openWith(t, manager.Options{})
	lastsBegun, lastsOn = make(chan struct{}), make(chan struct{})
	f := lasts.Go(within, m.Queue(), struct{}{})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-lastsBegun
		cancel(errEnough)
	}()
	_, err := m.RunTable(ctx, &xme.Table{}, xme.Inline(), manager.GuardOptions{Verbose: -1})
	if !errors.Is(err, errEnough) || errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	close(lastsOn)
	must(t, m.Queue().Stop(within))
	_, err = f.Wait(within)
	must(t, err)
}

var errEnough = errors.New("enough")

// A guard that takes the place of one that died with the last call, when the rows of its table have ended already, ends too.
//
// feature: G1
func TestGuardDiesWithTheLastCall(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m := openWith(t, manager.Options{})
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	must(t, err)
	defer pool.Close()
	var table xme.Table
	rows := leaveLast.Add(&table, xme.Repeat(1, m))
	manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Idle: -1}}))
	must(t, table.Run(ctx, pool))
	lost, err := rows.Values()
	must(t, err)
	if !lost[0] {
		t.Error("the call did not end with ErrGuardLost")
	}
}

// The same, of a guard beside no table that is stopped while it is being replaced.
//
// feature: G2
func TestGuardIsStoppedWhileItIsReplaced(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m := openWith(t, manager.Options{})
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	must(t, err)
	defer pool.Close()
	guard := manager.Guard.Go(ctx, pool, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Idle: -1}})
	if _, err := leave.Call(ctx, m.Queue(), struct{}{}); !errors.Is(err, manager.ErrGuardLost) {
		t.Errorf("leave: %v", err)
	}
	must(t, m.Queue().Stop(ctx))
	if r, err := guard.Wait(ctx); err != nil || r.Ended != "stopped" {
		t.Errorf("%+v, %v", r, err)
	}
}
