package manager_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// apart runs the test in another process of the same program, for what may take that down, and reports whether this is that process.
func apart(t *testing.T) bool {
	t.Helper()
	if os.Getenv("XME_REVIEW9") == t.Name() {
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=40s")
	cmd.Env = append(os.Environ(), "XME_REVIEW9="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%.3000s", err, out)
	}
	return false
}

// barrierGate is an object whose method waits until it is opened.
type barrierGate struct{ opened chan struct{} }

func (g *barrierGate) Pass(_ context.Context, n int) (int, error) {
	<-g.opened
	return n, nil
}

var passGate = manager.Method("passGate", (*barrierGate).Pass)

// shutGate returns a barrierGate, and what opens it.
func shutGate(t *testing.T, m *manager.Manager) (o *manager.Object[barrierGate], opened func()) {
	t.Helper()
	g := &barrierGate{make(chan struct{})}
	o, err := manager.Share(t.Context(), m, "", g)
	must(t, err)
	return o, func() { close(g.opened) }
}

// A function that waits for room in a full queue when its context ends has its future end, and nothing else.
func TestContextEndsWhileAFunctionWaitsForRoom(t *testing.T) {
	if !apart(t) {
		return
	}
	ctx := t.Context()
	m := openWith(t, manager.Options{Queue: 1})
	o, opened := shutGate(t, m)
	_, err := m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
	must(t, err)
	for range 2 { // one runs, one fills the queue
		_, err = passGate.Append(ctx, o, 1)
		must(t, err)
	}
	for range 50 {
		limited, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		if _, err := double.Call(limited, m.Queue(), 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		cancel()
	}
	<-time.After(200 * time.Millisecond)
	opened()
}

// So it is by a connection.
func TestContextEndsWhileATasksFunctionWaitsForRoom(t *testing.T) {
	if !apart(t) {
		return
	}
	ctx := t.Context()
	m := openWith(t, manager.Options{Queue: 1})
	o, opened := shutGate(t, m)
	_, err := m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
	must(t, err)
	for range 2 {
		_, err = passGate.Append(ctx, o, 1)
		must(t, err)
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	must(t, err)
	defer pool.Close()
	_, err = impatient.Call(ctx, pool, m)
	must(t, err)
	opened()
}

var impatient = xme.Register("impatient", func(ctx context.Context, m *manager.Manager) (int, error) {
	for range 50 {
		limited, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		_, err := double.Call(limited, m.Queue(), 1)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			return 0, err
		}
	}
	<-time.After(200 * time.Millisecond)
	return 0, nil
})

// An exec that is given up leaves the queue usable.
func TestExecGivenUpLeavesTheQueueUsable(t *testing.T) {
	ctx := t.Context()
	m := openWith(t, manager.Options{Process: true})
	q := m.Queue()
	for i := range 2000 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(i%100)*2*time.Microsecond)
		_, _ = q.Exec(limited)
		cancel()
	}
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := q.Exec(limited)
	must(t, err)
}

// A queued method may end its goroutine: who executes it by hand hears of it.
func TestGoexitOfAMethodExecutedByHand(t *testing.T) {
	ctx := t.Context()
	m := openWith(t, manager.Options{})
	o, err := manager.ShareNew(ctx, m, "", newCounter, 0)
	must(t, err)
	_, err = blowUp.Append(ctx, o, "exit")
	must(t, err)
	returned, over := false, make(chan struct{})
	go func() {
		defer close(over)
		_, _ = m.Queue().Exec(ctx)
		returned = true
	}()
	<-over
	if !returned {
		t.Error("Exec has ended its caller's goroutine")
	}
}

// A guard in the driver goes on after a method that has ended its goroutine.
func TestGoexitOfAMethodEndsTheDriversGuard(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m := openWith(t, manager.Options{})
	o, err := manager.ShareNew(ctx, m, "", newCounter, 0)
	must(t, err)
	_, err = blowUp.Append(ctx, o, "exit")
	must(t, err)
	g, err := m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
	must(t, err)
	limited, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if n, err := double.Call(limited, m.Queue(), 2); n != 4 || err != nil {
		t.Errorf("a function behind it: %d, %v", n, err)
	}
	if r, err := g.Stop(limited); err != nil || r.Ended != "stopped" {
		t.Errorf("the guard: %+v, %v", r, err)
	}
}

// Exec from within a call that Exec runs would wait for itself.
func TestExecWithinACallThatExecRuns(t *testing.T) {
	ctx := t.Context()
	m := openWith(t, manager.Options{})
	within = m
	double := execWithin.Go(ctx, m.Queue(), struct{}{})
	limited, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	go func() { _, _ = m.Queue().Exec(ctx) }()
	if _, err := double.Wait(limited); !errors.Is(err, manager.ErrDeadlock) {
		t.Errorf("got %v, not ErrDeadlock", err)
	}
}

var within *manager.Manager

var execWithin = xme.Register("execWithin", func(ctx context.Context, _ struct{}) (bool, error) { return within.Queue().Exec(ctx) })

// A heartbeat lives as long as its process, though a guard that comes later has a shorter limit: the guard does not end idle, or somebody is told.
func TestHeartbeatOfBeforeAGuardWithAShorterLimit(t *testing.T) {
	ctx := t.Context()
	m := openWith(t, manager.Options{})
	h, err := m.Heartbeat(ctx, manager.HeartbeatOptions{})
	must(t, err)
	g, err := m.StartGuard(ctx, manager.GuardOptions{Idle: 300 * time.Millisecond, Verbose: -1})
	if err != nil {
		return // told
	}
	limited, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := g.Wait(limited)
	told := h.Stop()
	if err == nil && told == nil {
		t.Errorf("the guard has ended %q while a heartbeat lived, and nobody was told", r.Ended)
	}
}

var endless = xme.Register("endless", func(ctx context.Context, _ struct{}) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
})

// A manager that is closed ends the context of the function that its guard in the driver runs, as it does those of methods.
func TestCloseEndsAFunctionOfTheDriversGuard(t *testing.T) {
	ctx := t.Context()
	m := openWith(t, manager.Options{})
	g, err := m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
	must(t, err)
	endless.Go(ctx, m.Queue(), struct{}{})
	for {
		s, err := m.Queue().State(ctx)
		must(t, err)
		if s.Running != "" {
			break
		}
	}
	must(t, m.Close())
	limited, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if _, err := g.Wait(limited); errors.Is(err, context.DeadlineExceeded) {
		t.Error("the guard did not end")
	}
}

// RunTable ends when its context has ended, whatever the call does that its guard runs.
func TestRunTableEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	m := openWith(t, manager.Options{})
	endless.Go(t.Context(), m.Queue(), struct{}{})
	var table xme.Table
	double.Add(&table, xme.Repeat(1, 1))
	over := make(chan struct{})
	go func() {
		_, _ = m.RunTable(ctx, &table, xme.Inline(), manager.GuardOptions{Verbose: -1})
		close(over)
	}()
	select {
	case <-over:
	case <-time.After(6 * time.Second):
		t.Error("it runs on 5 s after its context has ended")
	}
}

// What the guide says of a function whose context ends before it has begun, and what the documentation of Submit says, is one of the two.
func TestGuideSaysAFunctionIsTakenOutWhenItsContextEnds(t *testing.T) {
	guide, err := os.ReadFile("../docs/guide/guard.md")
	must(t, err)
	ctx := t.Context()
	m := openWith(t, manager.Options{})
	limited, cancel := context.WithCancel(ctx)
	f := double.Go(limited, m.Queue(), 1)
	cancel()
	_, err = f.Wait(ctx)
	if err == nil {
		t.Error("no error")
	}
	<-time.After(50 * time.Millisecond)
	n, err := m.Queue().Len(ctx)
	must(t, err)
	if says := bytes.Contains(guide, []byte("is taken out when its context ends")); says != (n == 0) {
		t.Errorf("the guide says that it is taken out: %v; %d calls are queued", says, n)
	}
}

// Exec of a method waits no longer than its context lasts.
func TestExecOfAMethodEndsWithItsContext(t *testing.T) {
	ctx := t.Context()
	m := openWith(t, manager.Options{})
	o, opened := shutGate(t, m)
	defer opened()
	_, err := passGate.Append(ctx, o, 1)
	must(t, err)
	limited, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	over := make(chan struct{})
	go func() {
		_, _ = m.Queue().Exec(limited)
		close(over)
	}()
	select {
	case <-over:
	case <-time.After(2 * time.Minute):
		t.Error("it waits on long after its context has ended")
	}
}

// A guard that never ends idle has no limit that a beat could be slower than.
func TestHeartbeatBesideAGuardThatNeverEndsIdle(t *testing.T) {
	ctx := t.Context()
	m := openWith(t, manager.Options{})
	_, err := m.StartGuard(ctx, manager.GuardOptions{Idle: -1, Verbose: -1})
	must(t, err)
	h, err := m.Heartbeat(ctx, manager.HeartbeatOptions{Every: 20 * time.Second})
	must(t, err)
	must(t, h.Stop())
}

var beatsSlowly = xme.Register("beatsSlowly", func(ctx context.Context, m *manager.Manager) (int, error) {
	h, err := m.Heartbeat(ctx, manager.HeartbeatOptions{Every: 20 * time.Second})
	if err != nil {
		return 0, err
	}
	return 0, h.Stop()
})

// Rows may beat as slowly as their table's guard allows, whichever of them begins first.
func TestHeartbeatThatBeginsBeforeItsTablesGuard(t *testing.T) {
	ctx := t.Context()
	m := openWith(t, manager.Options{})
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	must(t, err)
	defer pool.Close()
	var table xme.Table
	rows := beatsSlowly.Add(&table, xme.Repeat(1, m))
	manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Idle: time.Minute, Verbose: -1}}))
	must(t, table.Run(ctx, pool))
	_, err = rows.Values()
	must(t, err)
}
