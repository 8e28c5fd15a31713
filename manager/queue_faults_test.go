package manager_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// kit is what a guard's start-up function finds.
type kit struct {
	Up    *shm.Event        // it has run
	Begun *shm.Event        // a queued function has
	Words *shm.Array[int64] // the process, and how often one began
}

var guardKit atomic.Pointer[kit]

const startKit = "start with a kit"

var (
	_ = xme.Register(startKit, func(ctx context.Context, m *manager.Manager) (struct{}, error) {
		k, err := manager.Get[kit](ctx, m, "kit")
		if err != nil {
			return struct{}{}, err
		}
		guardKit.Store(&k)
		k.Words.Slice()[0] = int64(os.Getpid())
		atomic.AddInt64(&k.Words.Slice()[1], 1)
		return struct{}{}, k.Up.Set()
	})
	_ = xme.Register("start and exit", func(context.Context, *manager.Manager) (struct{}, error) { os.Exit(3); return struct{}{}, nil })

	hangs = xme.Register("hangs", func(ctx context.Context, _ int) (int, error) {
		if err := guardKit.Load().Begun.Set(); err != nil {
			return 0, err
		}
		<-ctx.Done()
		return 0, ctx.Err()
	})
	failsHow = xme.Register("fails", func(_ context.Context, how string) (int, error) {
		switch how {
		case "exit":
			os.Exit(3)
		case "goexit":
			runtime.Goexit()
		}
		panic(how)
	})
)

// guarded is a manager with a guard in a process of its own.
type guarded struct {
	m     *manager.Manager
	kit   kit
	guard *xme.Future[manager.GuardReport]
}

func guard(t *testing.T, ctx context.Context, o manager.Options) *guarded {
	t.Helper()
	g := &guarded{m: openWith(t, o)}
	up, err1 := shm.NewEvent()
	begun, err2 := shm.NewEvent()
	words, err3 := shm.NewArray[int64](2)
	must(t, errors.Join(err1, err2, err3))
	g.kit = kit{up, begun, words}
	t.Cleanup(func() { _ = errors.Join(up.Close(), begun.Close(), words.Close()) })
	must(t, manager.Set(ctx, g.m, "kit", g.kit))
	g.guard = manager.Guard.Go(ctx, xmetest.Open(t, xme.Options{Workers: 1}), manager.GuardCall{Manager: g.m, Options: manager.GuardOptions{Idle: -1, Verbose: -1, Start: startKit}})
	must(t, up.Wait(ctx))
	return g
}

// kill ends the guard's process.
func (g *guarded) kill(t *testing.T) {
	t.Helper()
	must(t, g.kit.Up.Clear())
	p, err := os.FindProcess(int(g.kit.Words.Slice()[0]))
	must(t, err)
	must(t, p.Kill())
}

// stop ends the guard and looks at its report.
func (g *guarded) stop(t *testing.T, ctx context.Context, starts int64) {
	t.Helper()
	must(t, g.m.Queue().Stop(ctx))
	r, err := g.guard.Wait(ctx)
	if err != nil || r.Ended != "stopped" {
		t.Errorf("the guard: %+v, %v", r, err)
	}
	if n := atomic.LoadInt64(&g.kit.Words.Slice()[1]); n != starts {
		t.Errorf("%d processes began, want %d", n, starts)
	}
}

func inBoth(t *testing.T, f func(t *testing.T, o manager.Options)) {
	t.Helper()
	for name, o := range map[string]manager.Options{"here": {}, "process": {Process: true}} {
		t.Run(name, func(t *testing.T) { f(t, o) })
	}
}

func counterOf(t *testing.T, ctx context.Context, m *manager.Manager) *manager.Object[counter] {
	t.Helper()
	o, err := manager.ShareNew(ctx, m, "", newCounter, 0)
	must(t, err)
	return o
}

func comes[T comparable](t *testing.T, ctx context.Context, f interface {
	Wait(context.Context) (T, error)
}, want T,
) {
	t.Helper()
	if got, err := f.Wait(ctx); got != want || err != nil {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

func fails[T any](t *testing.T, ctx context.Context, f interface {
	Wait(context.Context) (T, error)
}, want error,
) {
	t.Helper()
	if got, err := f.Wait(ctx); !errors.Is(err, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

// gate is an object whose method waits.
type gate struct{ runs int }

type gateCall struct{ Begun, Open *shm.Event }

func (g *gate) Pass(ctx context.Context, c gateCall) (int, error) {
	g.runs++
	if err := c.Begun.Set(); err != nil {
		return 0, err
	}
	return g.runs, c.Open.Wait(ctx)
}

var (
	newGate = manager.Constructor("new", func(context.Context, struct{}) (*gate, error) { return &gate{}, nil })
	pass    = manager.Method("pass", (*gate).Pass)
)

// shut has the queue stand still, in a method, until open is called.
func shut(t *testing.T, ctx context.Context, m *manager.Manager) (f *manager.Future[int], open func()) {
	t.Helper()
	o, err := manager.ShareNew(ctx, m, "", newGate, struct{}{})
	must(t, err)
	begun, err1 := shm.NewEvent()
	wait, err2 := shm.NewEvent()
	must(t, errors.Join(err1, err2))
	t.Cleanup(func() { _ = errors.Join(begun.Close(), wait.Close()) })
	f, err = pass.Append(ctx, o, gateCall{begun, wait})
	must(t, err)
	must(t, begun.Wait(ctx))
	return f, func() { must(t, wait.Set()) }
}

// TestGuardDiesInFunction loses one function with the guard's process, and goes on in another.
//
// feature: G1, X4
func TestGuardDiesInFunction(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		g := guard(t, ctx, o)
		lost := hangs.Go(ctx, g.m.Queue(), 0)
		must(t, g.kit.Begun.Wait(ctx))
		c := counterOf(t, ctx, g.m)
		method, err := add.Append(ctx, c, 1)
		must(t, err)
		function := double.Go(ctx, g.m.Queue(), 21)
		g.kill(t)
		fails(t, ctx, lost, manager.ErrGuardLost)
		comes(t, ctx, method, 1)
		comes(t, ctx, function, 42)
		must(t, g.kit.Up.Wait(ctx))
		g.stop(t, ctx, 2)
	})
}

// TestGuardDiesInMethod has a method run on, once, for its caller.
//
// feature: G1
func TestGuardDiesInMethod(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		g := guard(t, ctx, o)
		f, open := shut(t, ctx, g.m)
		g.kill(t)
		must(t, g.kit.Up.Wait(ctx))
		open()
		comes(t, ctx, f, 1)
		comes(t, ctx, double.Go(ctx, g.m.Queue(), 1), 2)
		g.stop(t, ctx, 2)
	})
}

// feature: G1
func TestGuardDiesIdle(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		g := guard(t, ctx, o)
		for i := range 5 {
			comes(t, ctx, double.Go(ctx, g.m.Queue(), i), 2*i)
			g.kill(t)
			must(t, g.kit.Up.Wait(ctx))
		}
		comes(t, ctx, double.Go(ctx, g.m.Queue(), 7), 14)
		g.stop(t, ctx, 6)
	})
}

// feature: G1
func TestGuardDiesAtStart(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		m := openWith(t, o)
		f := manager.Guard.Go(ctx, xmetest.Open(t, xme.Options{Workers: 1}), manager.GuardCall{Manager: m, Options: manager.GuardOptions{Start: "start and exit"}})
		_, err := f.Wait(ctx)
		if !errors.Is(err, manager.ErrGuardLost) || !strings.Contains(err.Error(), "start-up function") {
			t.Error(err)
		}
		if s, err := m.Queue().State(ctx); s.Guarded || err != nil {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// TestFunctionsFail has each function fail for itself.
//
// feature: G1
func TestFunctionsFail(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		g := guard(t, ctx, o)
		panics, exits, ends := failsHow.Go(ctx, g.m.Queue(), "oh"), failsHow.Go(ctx, g.m.Queue(), "exit"), failsHow.Go(ctx, g.m.Queue(), "goexit")
		last := double.Go(ctx, g.m.Queue(), 4)
		fails(t, ctx, panics, xme.ErrPanic)
		fails(t, ctx, exits, manager.ErrGuardLost)
		fails(t, ctx, ends, xme.ErrPanic)
		comes(t, ctx, last, 8)
		g.stop(t, ctx, 2)
	})
}

var fills = xme.Register("fills", func(_ context.Context, n int) (string, error) { return strings.Repeat("x", n), nil })

// A function whose result is too large to be told fails for itself: neither its guard ends, nor what is queued behind it. By hand it is the same.
//
// feature: G1
func TestResultIsTooLarge(t *testing.T) {
	defer manager.BoundResults(manager.MostResult())
	manager.BoundResults(1000)
	for _, byHand := range []bool{false, true} {
		inBoth(t, func(t *testing.T, o manager.Options) {
			ctx := inTime(t)
			m := openWith(t, o)
			fits, larger, last := fills.Go(ctx, m.Queue(), 900), fills.Go(ctx, m.Queue(), 1001), double.Go(ctx, m.Queue(), 4)
			if byHand {
				for range 3 {
					if ran, err := m.Queue().Exec(ctx); !ran || err != nil {
						t.Fatalf("%v, %v", ran, err)
					}
				}
			} else {
				g, err := m.StartGuard(ctx, manager.GuardOptions{Idle: -1, Verbose: -1})
				must(t, err)
				defer func() {
					if r, err := g.Stop(ctx); r.Calls != 3 || err != nil {
						t.Errorf("the guard: %+v, %v", r, err)
					}
				}()
			}
			comes(t, ctx, fits, strings.Repeat("x", 900))
			_, err := larger.Wait(ctx)
			e, ok := errors.AsType[*xme.Error](err)
			if !ok || !errors.Is(err, xme.ErrEncode) || !strings.HasSuffix(e.Func, ".fills") || !strings.Contains(e.Message, "over 1000: share memory") {
				t.Errorf("too large: %v", err)
			}
			comes(t, ctx, last, 8)
		})
	}
}

// feature: G1
func TestMethodsFail(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		m := openWith(t, o)
		c := counterOf(t, ctx, m)
		g, err := m.StartGuard(ctx, manager.GuardOptions{Idle: -1})
		must(t, err)
		var all []*manager.Future[int]
		for _, how := range []string{"oh", "exit", "oh"} {
			f, err := blowUp.Append(ctx, c, how)
			must(t, err)
			all = append(all, f)
		}
		last, err := add.Append(ctx, c, 3)
		must(t, err)
		for _, f := range all {
			fails(t, ctx, f, xme.ErrPanic)
		}
		comes(t, ctx, last, 3)
		r, err := g.Stop(ctx)
		if err != nil || r.Calls != 4 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

type appendAndHang struct {
	O     *manager.Object[counter]
	N     int
	Begun *shm.Event
}

var appendsAndHangs = xme.Register("append and hang", func(ctx context.Context, in appendAndHang) (int, error) {
	for range in.N {
		if _, err := add.Append(ctx, in.O, 1); err != nil {
			return 0, err
		}
	}
	if err := in.Begun.Set(); err != nil {
		return 0, err
	}
	<-ctx.Done()
	return 0, ctx.Err()
})

// TestAppenderDies has the calls run of who has died.
//
// feature: X4
func TestAppenderDies(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		m := openWith(t, o)
		c := counterOf(t, ctx, m)
		begun, err := shm.NewEvent()
		must(t, err)
		defer begun.Close()
		pool := xmetest.Open(t, xme.Options{Workers: 1})
		f := appendsAndHangs.Go(ctx, pool, appendAndHang{c, 50, begun})
		must(t, begun.Wait(ctx))
		xmetest.Kill(t, pool, 1)
		fails(t, ctx, f, xme.ErrWorkerLost)
		g, err := m.StartGuard(ctx, manager.GuardOptions{})
		must(t, err)
		r, err := g.Stop(ctx)
		if err != nil || r.Calls != 50 {
			t.Errorf("%+v, %v", r, err)
		}
		if n, err := add.Call(ctx, c, 0); n != 50 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// TestQueueDies has each future of a call that was queued say so; a guard goes on with the process that takes the manager's place.
//
// feature: X4, G1
func TestQueueDies(t *testing.T) {
	ctx := inTime(t)
	m := openWith(t, manager.Options{Process: true, Restart: true})
	c, err := manager.ShareNew(ctx, m, "c", newCounter, 0)
	must(t, err)
	must(t, m.Keep(ctx))
	g, err := m.StartGuard(ctx, manager.GuardOptions{Idle: -1})
	must(t, err)
	running, _ := shut(t, ctx, m)
	method, err := add.Append(ctx, c, 1)
	must(t, err)
	builtin, err := m.Queue().Append(ctx, manager.Builtin{Name: "Table::items"})
	must(t, err)
	function := double.Go(ctx, m.Queue(), 1)
	kill(t, ctx, c)
	fails(t, ctx, running, manager.ErrLost)
	fails(t, ctx, method, manager.ErrLost)
	fails(t, ctx, builtin, manager.ErrLost)
	fails(t, ctx, function, manager.ErrLost)
	for {
		f, err := add.Append(ctx, c, 1)
		if err == nil {
			comes(t, ctx, f, 1)
			break
		}
		if !errors.Is(err, manager.ErrLost) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	comes(t, ctx, double.Go(ctx, m.Queue(), 2), 4)
	if r, err := g.Stop(ctx); err != nil || r.Calls != 2 || r.Ended != "stopped" {
		t.Errorf("%+v, %v", r, err)
	}
}

// nester is an object whose method uses the queue that it runs from.
type nester struct{}

type nestCall struct {
	M *manager.Manager
	O *manager.Object[counter]
}

func (nester) Nest(ctx context.Context, in nestCall) (bool, error) { return true, nest(ctx, in) }

// nest says what is wrong with what a call that runs from the queue can do there.
func nest(ctx context.Context, in nestCall) error {
	c := &check{}
	first, err := add.Append(ctx, in.O, 1)
	c.ok(err)
	_, err = first.Wait(ctx)
	c.is(err, manager.ErrDeadlock, "queue")
	_, err = double.Call(ctx, in.M.Queue(), 1) // accepted, and not to be waited for
	c.is(err, manager.ErrDeadlock, "queue")
	_, err = add.Append(ctx, in.O, 1) // there is room for two
	c.is(err, manager.ErrFull, "cannot wait")
	c.is(in.M.Queue().Stop(ctx), manager.ErrDeadlock, manager.GuardKey)
	return errors.Join(c.faults...)
}

var (
	newNester = manager.Constructor("new", func(context.Context, struct{}) (*nester, error) { return &nester{}, nil })
	nests     = manager.Method("nest", (*nester).Nest)
	nestsIn   = xme.Register("nests", func(ctx context.Context, name string) (bool, error) {
		m := nestManager.Load()
		o, err := manager.Find[counter](ctx, m, name)
		if err != nil {
			return false, err
		}
		return true, nest(ctx, nestCall{m, o})
	})
	nestManager atomic.Pointer[manager.Manager]
)

// TestWithinTheQueue has calls that run from the queue use it: what would wait for them is an error.
//
// feature: X4, G2
func TestWithinTheQueue(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		o.Queue = 2
		m := openWith(t, o)
		nestManager.Store(m)
		c, err := manager.ShareNew(ctx, m, "c", newCounter, 0)
		must(t, err)
		n, err := manager.ShareNew(ctx, m, "", newNester, struct{}{})
		must(t, err)
		g, err := m.StartGuard(ctx, manager.GuardOptions{Idle: -1})
		must(t, err)
		f, err := nests.Append(ctx, n, nestCall{m, c})
		must(t, err)
		comes(t, ctx, f, true)
		comes(t, ctx, nestsIn.Go(ctx, m.Queue(), "c"), true)
		if r, err := g.Stop(ctx); err != nil || r.Calls != 6 { // the two, and what each has appended
			t.Errorf("%+v, %v", r, err)
		}
		if n, err := add.Call(ctx, c, 0); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// TestFullQueue refuses what nobody makes room for, and has wait what somebody does.
//
// feature: X4
func TestFullQueue(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		o.Queue = 1
		m := openWith(t, o)
		c := counterOf(t, ctx, m)
		_, err := add.Append(ctx, c, 1)
		must(t, err)
		if _, err := add.Append(ctx, c, 1); !errors.Is(err, manager.ErrFull) {
			t.Errorf("without a guard: %v", err)
		}
		g, err := m.StartGuard(ctx, manager.GuardOptions{Idle: -1})
		must(t, err)
		_, open := shut(t, ctx, m)
		_, err = add.Append(ctx, c, 1)
		must(t, err)
		short, cancel := context.WithCancel(ctx)
		gaveUp := make(chan error)
		waited := make(chan error)
		go func() {
			_, err := add.Append(short, c, 100)
			gaveUp <- err
		}()
		waiting := func(n int) {
			t.Helper()
			for {
				s, err := m.Queue().State(ctx)
				must(t, err)
				if s.Waiting == n {
					return
				}
			}
		}
		waiting(1)
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
		waiting(0)
		go func() {
			_, err := add.Append(ctx, c, 1)
			waited <- err
		}()
		waiting(1)
		open()
		must(t, <-waited)
		if r, err := g.Stop(ctx); err != nil || r.Calls != 4 {
			t.Errorf("%+v, %v", r, err)
		}
		if n, err := add.Call(ctx, c, 0); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// feature: G1
func TestOneGuard(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		m := openWith(t, o)
		g, err := m.StartGuard(ctx, manager.GuardOptions{Idle: -1})
		must(t, err)
		if _, err := m.StartGuard(ctx, manager.GuardOptions{}); !errors.Is(err, manager.ErrGuardRuns) {
			t.Errorf("another guard: %v", err)
		}
		if _, err := m.Queue().Exec(ctx); !errors.Is(err, manager.ErrGuardRuns) {
			t.Errorf("by hand: %v", err)
		}
		_, err = g.Stop(ctx)
		must(t, err)
	})
}

// TestIdleGuard ends, but not while a heartbeat lives.
//
// feature: G2, G3
func TestIdleGuard(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		m := openWith(t, o)
		g, err := m.StartGuard(ctx, manager.GuardOptions{Idle: 5 * time.Second})
		must(t, err)
		if _, err := m.Heartbeat(ctx, manager.HeartbeatOptions{Every: 6 * time.Second}); err == nil || !strings.Contains(err.Error(), "not shorter") {
			t.Errorf("a slow heartbeat: %v", err)
		}
		_, err = g.Stop(ctx)
		must(t, err)
		g, err = m.StartGuard(ctx, manager.GuardOptions{Idle: 50 * time.Millisecond})
		must(t, err)
		if r, err := g.Wait(ctx); err != nil || r.Ended != "idle" {
			t.Errorf("%+v, %v", r, err)
		}
		const idle, every = 500 * time.Millisecond, 20 * time.Millisecond
		g, err = m.StartGuard(ctx, manager.GuardOptions{Idle: idle})
		must(t, err)
		h, err := m.Heartbeat(ctx, manager.HeartbeatOptions{Every: every})
		must(t, err)
		beats := 0
		for e, err := range manager.Watch(ctx, m, manager.StatusKey) {
			must(t, err)
			if beats += 1 + e.Missed; beats > int(2*idle/every) {
				break
			}
		}
		select {
		case <-g.Done():
			t.Error("it ended while a heartbeat lived")
		default:
		}
		must(t, h.Stop())
		if r, err := g.Wait(ctx); err != nil || r.Ended != "idle" {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestResultsAfterStop has who waits for results of nothing be told at once.
//
// feature: F17, G2
func TestResultsAfterStop(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		m := openWith(t, o)
		g, err := m.StartGuard(ctx, manager.GuardOptions{Idle: -1})
		must(t, err)
		running, open := shut(t, ctx, m)
		op, err := m.NewOperator(ctx)
		must(t, err)
		waits := make(chan error)
		go func() {
			_, err := m.As(op).Queue().Result(ctx)
			waits <- err
		}()
		stops := make(chan error)
		go func() { stops <- m.Queue().Stop(ctx) }()
		if err := <-waits; !errors.Is(err, manager.ErrGuardStopped) { // while the guard drains
			t.Error(err)
		}
		open()
		comes(t, ctx, running, 1)
		must(t, <-stops)
		if _, err := g.Wait(ctx); err != nil {
			t.Error(err)
		}
		if r, err := m.Queue().Result(ctx); err != nil || r.Call != 1 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestOldResultsGo keeps the last 255 results of an operator, and gives them to nobody else.
//
// feature: F17
func TestOldResultsGo(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		m := openWith(t, o)
		c := counterOf(t, ctx, m)
		const calls, kept = 300, 255
		for range calls {
			_, err := add.Append(ctx, c, 1)
			must(t, err)
		}
		g, err := m.StartGuard(ctx, manager.GuardOptions{})
		must(t, err)
		_, err = g.Stop(ctx)
		must(t, err)

		var forged manager.Operator
		must(t, forged.UnmarshalBinary(append(binary.LittleEndian.AppendUint32(nil, 1), make([]byte, 16)...)))
		q := m.As(forged).Queue()
		_, result := q.Result(ctx)
		_, clean := q.Clean(ctx)
		_, discard := q.Discard(ctx)
		_, built := q.Append(ctx, manager.Builtin{Name: "Table::items"})
		_, function := double.Go(ctx, q, 1).Wait(ctx)
		for _, err := range []error{result, clean, discard, built, function} {
			if !errors.Is(err, manager.ErrNotAuthorised) {
				t.Errorf("forged: %v", err)
			}
		}
		n := 0
		for r, err := range m.Queue().Results(ctx) {
			if errors.Is(err, manager.ErrGuardStopped) {
				break
			}
			must(t, err)
			dropped := 0
			if n == 0 {
				dropped = calls - kept
			}
			n++
			if v, err := manager.As[int](r.Value); err != nil || v != calls-kept+n || r.Call != uint64(v) || r.Dropped != dropped {
				t.Fatalf("result %d: %d, %+v, %v", n, v, r, err)
			}
		}
		if n != kept {
			t.Errorf("%d results, want %d", n, kept)
		}
	})
}

// TestHeartbeatStops has no beat come after the end.
//
// feature: G3
func TestHeartbeatStops(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		m := openWith(t, o)
		for range 200 {
			h, err := m.Heartbeat(ctx, manager.HeartbeatOptions{Every: 100 * time.Microsecond})
			must(t, err)
			_, err = m.Queue().State(ctx) // some time goes by
			must(t, err)
			must(t, h.Stop())
			all, err := manager.Get[map[string]string](ctx, m, manager.StatusKey)
			must(t, err)
			if !strings.HasPrefix(all["ADMIN"], "ended ") {
				t.Fatalf("%v", all)
			}
		}
	})
}
