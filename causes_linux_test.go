package xme_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// call returns how a call of dies ends on a pool of its own.
func call(how string, o xme.Options, with ...xme.CallOption) func(t *testing.T) error {
	return func(t *testing.T) error {
		_, err := dies.With(with...).Call(t.Context(), xmetest.Open(t, quiet(o)), how)
		return err
	}
}

// underWay returns how a row ends that does not listen, once end has done something.
func underWay(end func(t *testing.T, pool *xme.Pool, cancel func(error))) func(t *testing.T) error {
	return func(t *testing.T) error {
		pool := xmetest.Open(t, quiet(xme.Options{}))
		ctx, cancel := context.WithCancelCause(t.Context())
		begun, g, _ := gates(t)
		f := waits.Go(ctx, pool, g)
		readBegun(t, begun, 1)
		end(t, pool, cancel)
		_, err := f.Wait(t.Context())
		return err
	}
}

// Every way to fail is produced for real, and its block is what a user reads. The golden files are
// testdata/golden/cause-*.txt; docs/causes.md shows some of them.
//
// feature: S12, F1, F5
func TestCauses(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("the golden files are of programs without the race detector")
	}
	for name, tc := range map[string]struct {
		cause xme.Cause
		is    error // nil: none of xme's
		err   func(t *testing.T) error
	}{
		"error":              {xme.CauseReturned, nil, call("error", xme.Options{})},
		"error-known":        {xme.CauseReturned, errRoute, call("known", xme.Options{})},
		"panic":              {xme.CausePanic, xme.ErrPanic, call("panic", xme.Options{})},
		"goexit":             {xme.CausePanic, xme.ErrPanic, call("goexit", xme.Options{})},
		"exit":               {xme.CauseLost, xme.ErrWorkerLost, call("exit 7777777", xme.Options{})},
		"exit-zero":          {xme.CauseLost, xme.ErrWorkerLost, call("exit", xme.Options{})},
		"exit-output":        {xme.CauseLost, xme.ErrWorkerLost, call("colours", xme.Options{})},
		"signal":             {xme.CauseLost, xme.ErrWorkerLost, underWay(func(t *testing.T, p *xme.Pool, _ func(error)) { xmetest.Kill(t, p, 1) })},
		"crash-overflow":     {xme.CauseLost, xme.ErrWorkerLost, call("overflow", xme.Options{})},
		"crash-wild":         {xme.CauseLost, xme.ErrWorkerLost, call("wild", xme.Options{})},
		"crash-maps":         {xme.CauseLost, xme.ErrWorkerLost, call("maps", xme.Options{})},
		"crash-goroutine":    {xme.CauseLost, xme.ErrWorkerLost, call("goroutine", xme.Options{})},
		"set-aside":          {xme.CauseLost, xme.ErrWorkerLost, call("exit 333", xme.Options{}, xme.Retries(9))},
		"attempts":           {xme.CauseLost, xme.ErrWorkerLost, attempts},
		"attempts-alike":     {xme.CauseReturned, nil, call("error", xme.Options{}, xme.Retries(2))},
		"timeout-spin":       {xme.CauseTimeout, xme.ErrTimeout, spins},
		"timeout-asleep":     {xme.CauseTimeout, xme.ErrTimeout, call("asleep", xme.Options{}, xme.Timeout(50*time.Millisecond))},
		"timeout-obeyed":     {xme.CauseTimeout, xme.ErrTimeout, call("obey", xme.Options{Grace: patience}, xme.Timeout(time.Millisecond))},
		"timeout-late":       {xme.CauseTimeout, context.DeadlineExceeded, call("obey-late", xme.Options{Grace: patience}, xme.Timeout(time.Millisecond))},
		"timeout-angry":      {xme.CauseTimeout, xme.ErrTimeout, call("obey-angry", xme.Options{Grace: patience}, xme.Timeout(time.Millisecond))},
		"memory":             {xme.CauseMemory, xme.ErrMemory, hoarded(hoard{MiB: 34, Stay: true})},
		"memory-refused":     {xme.CauseMemory, xme.ErrMemory, refusedMemory},
		"cancelled":          {xme.CauseCancelled, context.Canceled, cancelled(nil)},
		"cancelled-cause":    {xme.CauseCancelled, errRoute, cancelled(errRoute)},
		"cancelled-killed":   {xme.CauseCancelled, context.Canceled, underWay(func(_ *testing.T, _ *xme.Pool, cancel func(error)) { cancel(nil) })},
		"cancelled-for":      {xme.CauseCancelled, context.Canceled, underWay(func(_ *testing.T, _ *xme.Pool, cancel func(error)) { cancel(errRoute) })},
		"encode-argument":    {xme.CauseEncode, xme.ErrEncode, call(strings.Repeat("x", 1000), xme.Options{MaxMessage: 100})},
		"encode-result":      {xme.CauseEncode, xme.ErrEncode, call("large", xme.Options{MaxMessage: 100})},
		"depth":              {xme.CauseReturned, xme.ErrDepth, call("deeper", xme.Options{MaxProcesses: 12})},
		"depth-ranks":        {xme.CauseReturned, xme.ErrDepth, call("circle", xme.Options{}, xme.On(1))},
		"closed":             {xme.CauseClosed, xme.ErrClosed, closed},
		"closed-killed":      {xme.CauseClosed, xme.ErrClosed, underWay(func(_ *testing.T, p *xme.Pool, _ func(error)) { _ = p.Close() })},
		"unsupported":        {xme.CauseUnsupported, errors.ErrUnsupported, call("fine", xme.Options{}, xme.On(9))},
		"unsupported-inline": {xme.CauseUnsupported, errors.ErrUnsupported, inlineFresh},
		"no-worker":          {xme.CauseStart, xme.ErrWorkerLost, setUpFails("panic")},
		"no-worker-died":     {xme.CauseStart, xme.ErrWorkerLost, setUpFails("colours")},
		"no-worker-row":      {xme.CauseStart, xme.ErrWorkerLost, cannotBeReplaced},
		"nested-panic":       {xme.CauseReturned, xme.ErrPanic, call("below below panic", xme.Options{})},
		"nested-exit":        {xme.CauseReturned, xme.ErrWorkerLost, call("below colours", xme.Options{})},
		"nested-known":       {xme.CauseReturned, errRoute, call("below below-wrapped known", xme.Options{})},
		"nested-deep":        {xme.CauseReturned, nil, call(strings.Repeat("below ", 9)+"error", xme.Options{MaxProcesses: 20})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tc.err(t)
			var e *xme.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v is no *xme.Error", err)
			}
			if e.Cause != tc.cause || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("cause %v, is %v: %t; want %v", e.Cause, tc.is, errors.Is(err, tc.is), tc.cause)
			}
			block := fmt.Sprintf("%+v", err)
			if name == "memory" { // who was first, the system or the pool, differs from run to run
				line, _, _ := strings.Cut(block, "; ")
				block = line + "; …\n" + block[strings.LastIndex(block, "\n")+1:]
			}
			golden(t, "cause-"+name, block)
		})
	}
}

// spins returns how a row ends that computes for ever. The runtime may not come to its stack in time.
func spins(t *testing.T) error {
	for n := 0; ; n++ {
		err := call("spin", xme.Options{}, xme.Timeout(50*time.Millisecond))(t)
		if strings.Contains(fmt.Sprintf("%+v", err), "xme_test.spin(") || n == 20 {
			return err
		}
	}
}

// attempts returns how a row ends whose attempts each failed in another way.
func attempts(t *testing.T) error {
	return call("attempts "+filepath.Join(t.TempDir(), "count"), xme.Options{}, xme.Retries(2))(t)
}

func hoarded(h hoard) func(t *testing.T) error {
	return func(t *testing.T) error {
		_, err := hoards.With(xme.Memory(32<<20)).Call(t.Context(), xmetest.Open(t, quiet(xme.Options{})), h)
		return err
	}
}

// refusedMemory crashes as if it were out of memory: when the system refuses it, rather than the pool finds it, depends.
func refusedMemory(t *testing.T) error {
	_, err := crashes.With(xme.Memory(64<<20)).Call(t.Context(), xmetest.Open(t, quiet(xme.Options{})), crash{Stderr: "hungry\n"})
	return err
}

func cancelled(why error) func(t *testing.T) error {
	return func(t *testing.T) error {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		_, err := dies.Call(ctx, xmetest.Open(t, quiet(xme.Options{})), "fine")
		return err
	}
}

func closed(t *testing.T) error {
	pool := xmetest.Open(t, quiet(xme.Options{}))
	_ = pool.Close()
	_, err := dies.Call(t.Context(), pool, "fine")
	return err
}

func inlineFresh(t *testing.T) error {
	_, err := dies.With(xme.Fresh()).Call(t.Context(), xme.Inline(), "fine")
	return err
}

func setUpFails(how string) func(t *testing.T) error {
	return func(t *testing.T) error {
		_, err := xme.Open(t.Context(), quiet(xme.Options{Setup: dies.Setup(how)}))
		return err
	}
}

// A worker that does not start says why: Open's error is an *xme.Error too.
//
// feature: S12, S1, U2
func TestCausesOfStart(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("the golden files are of programs without the race detector")
	}
	for name, tc := range map[string]struct{ program, env string }{
		"skew":         {"skew", "SOMETIMES=yes"},
		"missing-init": {"skipped", "STARTS=" + filepath.Join(t.TempDir(), "starts")},
		"crash":        {"unborn", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := runProgram(t, tc.program, tc.env)
			block := out[max(0, strings.Index(out, "xme: Open: ")):]
			golden(t, "start-"+name, strings.TrimSuffix(regexp.MustCompile(`rank \d, `).ReplaceAllString(block, "rank N, "), "\n")) // whichever was first
		})
	}
}

// cannotBeReplaced returns how a row ends whose pool's worker has died and cannot be set up again.
func cannotBeReplaced(t *testing.T) error {
	pool := xmetest.Open(t, quiet(xme.Options{Setup: dies.Setup("once " + filepath.Join(t.TempDir(), "made"))}))
	xmetest.Kill(t, pool, 1)
	wait(t, func() bool { return pool.Workers()[0].State == xme.Starting })
	_, err := dies.Call(t.Context(), pool, "fine")
	return err
}

// Somebody stops a worker that runs a row.
//
// feature: S12
func TestCauseStopped(t *testing.T) {
	t.Parallel()
	err := underWay(func(t *testing.T, p *xme.Pool, _ func(error)) { stop(t, p.Workers()[0].PID) })(t)
	if !errors.Is(err, xme.ErrWorkerLost) {
		t.Errorf("%v, want it lost", err)
	}
	golden(t, "cause-stopped", fmt.Sprintf("%+v", err))
}

// Ctrl-C while a row runs and another waits behind it.
//
// feature: S12
func TestCauseInterrupted(t *testing.T) {
	ctx, cancel := xme.Interruptible(t.Context())
	defer cancel()
	pool := xmetest.Open(t, quiet(xme.Options{}))
	begun, g, release := gates(t)
	runs := pass.Go(ctx, pool, g)
	readBegun(t, begun, 1)
	waits := dies.Go(ctx, pool, "fine")
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_, err := waits.Wait(t.Context())
	if !errors.Is(err, xme.ErrInterrupted) {
		t.Errorf("%v, want it interrupted", err)
	}
	golden(t, "cause-interrupted", fmt.Sprintf("%+v", err))
	_, _ = release.Write([]byte{0})
	if _, err := runs.Wait(t.Context()); err != nil {
		t.Errorf("the row that ran: %v", err)
	}
}

// Only rows that had not begun are interrupted: those that ran, and services, are cancelled because the user interrupted.
//
// feature: S12
func TestCauseInterruptedRunning(t *testing.T) {
	ctx, cancel := xme.Interruptible(t.Context())
	defer cancel()
	interrupt := func() {
		t.Helper()
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	check := func(name string, f *xme.Future[int], cause xme.Cause, text string) {
		t.Helper()
		_, err := f.Wait(t.Context())
		e, ok := errors.AsType[*xme.Error](err)
		if !ok || e.Cause != cause || e.Message != text || !errors.Is(err, xme.ErrInterrupted) || errors.Is(err, context.Canceled) != (cause == xme.CauseCancelled) {
			t.Errorf("%s: %v, cancelled: %t, want %v: %s", name, err, errors.Is(err, context.Canceled), cause, text)
		}
	}
	patient := xmetest.Open(t, quiet(xme.Options{Grace: patience, MaxProcesses: 3}))
	begun, g, _ := gates(t)
	service := saysAndWaits.With(xme.Service()).Go(ctx, patient, g)
	inline := saysAndWaits.With(xme.Service()).Go(ctx, xme.Inline(), g)
	obeys := saysAndWaits.Go(ctx, patient, g)
	deaf := waits.Go(ctx, xmetest.Open(t, quiet(xme.Options{})), g)
	ran := make(chan error, 1)
	var table xme.Table
	rows := saysAndWaits.With(xme.Service()).Add(&table, xme.Repeat(1, g))
	go func() { ran <- table.Run(ctx, patient) }()
	readBegun(t, begun, 5)
	queued := square.Go(ctx, patient, 1)
	interrupt()
	check("queued", queued, xme.CauseInterrupted, "it had not begun")
	const obeyed = "the user interrupted; it returned when told"
	check("service", service, xme.CauseCancelled, obeyed)
	check("inline service", inline, xme.CauseCancelled, obeyed)
	if err := <-ran; !errors.Is(err, xme.ErrInterrupted) || strings.Contains(err.Error(), "failed") {
		t.Errorf("Run: %v, want that it was interrupted and no row failed", err)
	}
	for _, err := range rows.All() {
		if e, ok := errors.AsType[*xme.Error](err); !ok || e.Cause != xme.CauseCancelled || e.Message != obeyed {
			t.Errorf("the table's service: %v, want it cancelled: %s", err, obeyed)
		}
	}
	interrupt()
	check("obeys", obeys, xme.CauseCancelled, obeyed)
	check("deaf", deaf, xme.CauseCancelled, "the user interrupted; killed for it")
	check("late", square.Go(ctx, patient, 1), xme.CauseInterrupted, "it had not begun")
}

// An interrupt is heard of through contexts that are derived: by another Interruptible, and one that does not end with its parent.
//
// feature: S12
func TestInterruptIsInherited(t *testing.T) {
	ctx, cancel := xme.Interruptible(t.Context())
	defer cancel()
	pool := xmetest.Open(t, quiet(xme.Options{}))
	begun, g, release := gates(t)
	runs := pass.Go(ctx, pool, g)
	readBegun(t, begun, 1)
	on := context.WithoutCancel(ctx)
	queued := []*xme.Future[int]{square.Go(on, pool, 1), square.Go(context.WithValue(on, t, 1), pool, 2), square.Go(context.WithoutCancel(t.Context()), pool, 3)}
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	late, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	for _, f := range queued[:2] {
		_, err := f.Wait(late)
		if e, ok := errors.AsType[*xme.Error](err); !ok || e.Cause != xme.CauseInterrupted {
			t.Errorf("queued under a context without an end: %v, want it interrupted", err)
		}
	}
	inner, end := xme.Interruptible(ctx)
	defer end()
	_, _ = release.Write([]byte{0})
	for name, late := range map[string]context.Context{"Interruptible": inner, "WithoutCancel": on} {
		if _, err := square.Call(late, pool, 3); !errors.Is(err, xme.ErrInterrupted) {
			t.Errorf("afterwards, %s: %v, want it interrupted", name, err)
		}
	}
	if _, err := runs.Wait(t.Context()); err != nil {
		t.Errorf("the row that ran: %v", err)
	}
	if n, err := queued[2].Wait(t.Context()); n != 9 || err != nil {
		t.Errorf("the row beside: %d, %v", n, err)
	}
}
