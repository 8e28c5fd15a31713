package manager_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

type addTo struct {
	Object *manager.Object[counter]
	Times  int
	Begun  *shm.Event
}

var addMany = xme.Register("addMany", func(ctx context.Context, a addTo) (int, error) {
	last := 0
	for i := range a.Times {
		n, err := add.Call(ctx, a.Object, 1)
		if err != nil {
			return last, err
		}
		if n <= last {
			return 0, errors.New("it went back")
		}
		last = n
		if i == 100 && a.Begun != nil {
			if err := a.Begun.Set(); err != nil {
				return 0, err
			}
		}
	}
	return last, nil
})

// within keeps a test from hanging.
func inTime(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestCallersDie counts each call once though workers are killed while they call.
func TestCallersDie(t *testing.T) {
	for name, o := range map[string]manager.Options{"here": {}, "process": {Process: true}} {
		t.Run(name, func(t *testing.T) {
			ctx := inTime(t)
			m := openWith(t, o)
			c, err := manager.ShareNew(ctx, m, "c", newCounter, 0)
			if err != nil {
				t.Fatal(err)
			}
			pool := xmetest.Open(t, xme.Options{Workers: 2})
			times := 20_000
			if !long.Wanted() {
				times = 2000
			}
			done, kills := 0, 0
			for range 4 {
				begun, err := shm.NewEvent()
				if err != nil {
					t.Fatal(err)
				}
				doomed := addMany.With(xme.On(1)).Go(ctx, pool, addTo{c, 100 * times, begun})
				lives := addMany.With(xme.On(2)).Go(ctx, pool, addTo{c, times, nil})
				if err := begun.Wait(ctx); err != nil {
					t.Fatal(err)
				}
				xmetest.Kill(t, pool, 1)
				if _, err := doomed.Wait(ctx); errors.Is(err, xme.ErrWorkerLost) {
					kills++
				} else if err != nil {
					t.Error(err)
				}
				if _, err := lives.Wait(ctx); err != nil {
					t.Error(err)
				} else {
					done += times
				}
				if err := begun.Close(); err != nil {
					t.Error(err)
				}
			}
			n, err := add.Call(ctx, c, 0)
			if err != nil || n < done+kills*100 {
				t.Errorf("%d counted of %d and those of %d killed (%v)", n, done, kills, err)
			}
			again, err := add.Call(ctx, c, 0)
			if err != nil || again != n {
				t.Errorf("%d, then %d: a call of a dead worker's came late (%v)", n, again, err)
			}
		})
	}
}

// kill ends the process that an object lives in.
func kill(t *testing.T, ctx context.Context, c *manager.Object[counter]) {
	t.Helper()
	n, err := pid.Call(ctx, c, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	if n == os.Getpid() {
		t.Fatal("the manager lives here")
	}
	p, err := os.FindProcess(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
}

// feature: X1
//
// TestManagerDies has every caller get an error that says so.
func TestManagerDies(t *testing.T) {
	ctx := inTime(t)
	m := openWith(t, manager.Options{Process: true})
	c, err := manager.ShareNew(ctx, m, "c", newCounter, 0)
	if err != nil {
		t.Fatal(err)
	}
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	begun, err := shm.NewEvent()
	if err != nil {
		t.Fatal(err)
	}
	defer begun.Close()
	waiting := waits.Go(ctx, c, begun)
	if err := begun.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	calls := addMany.Go(ctx, pool, addTo{c, 10, nil}) // waits for its turn
	kill2 := func() {
		p, err := os.FindProcess(managerPID(t, ctx, m))
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	kill2()
	if _, err := waiting.Wait(ctx); !errors.Is(err, manager.ErrLost) {
		t.Errorf("the driver's call: %v", err)
	}
	if _, err := calls.Wait(ctx); !errors.Is(err, manager.ErrLost) {
		t.Errorf("a worker's call: %v", err)
	}
	if _, err := add.Call(ctx, c, 1); !errors.Is(err, manager.ErrLost) {
		t.Errorf("a call afterwards: %v", err)
	}
	if _, err := addMany.Call(ctx, pool, addTo{c, 1, nil}); !errors.Is(err, manager.ErrLost) {
		t.Errorf("a worker's call afterwards: %v", err)
	}
}

// managerPID asks another object.
func managerPID(t *testing.T, ctx context.Context, m *manager.Manager) int {
	t.Helper()
	o, err := manager.ShareNew(ctx, m, "", newCounter, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := pid.Call(ctx, o, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestManagerComesBack brings back what was kept.
func TestManagerComesBack(t *testing.T) {
	ctx := inTime(t)
	m := openWith(t, manager.Options{Process: true, Restart: true})
	c, err := manager.ShareNew(ctx, m, "c", newCounter, 7)
	if err != nil {
		t.Fatal(err)
	}
	p, err := manager.Share(ctx, m, "p", &plain{1})
	if err != nil {
		t.Fatal(err)
	}
	op, err := m.NewOperator(ctx)
	if err != nil {
		t.Fatal(err)
	}
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	for round := range 3 {
		if _, err := add.Call(ctx, c, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := addPlain.Call(ctx, p, 1); err != nil {
			t.Fatal(err)
		}
		if err := manager.Set(ctx, m, "key", round); err != nil {
			t.Fatal(err)
		}
		if err := m.Keep(ctx); err != nil {
			t.Fatal(err)
		}
		if err := manager.Set(ctx, m, "key", -1); err != nil {
			t.Fatal(err)
		}
		if _, err := addPlain.Call(ctx, p, 100); err != nil {
			t.Fatal(err)
		}
		kill(t, ctx, c)
		for { // what was under way, or comes before anybody has noticed
			_, err := addPlain.Call(ctx, p, 0)
			if err == nil {
				break
			}
			if !errors.Is(err, manager.ErrLost) || ctx.Err() != nil {
				t.Fatal(err)
			}
		}
		if n, err := addPlain.Call(ctx, p, 0); err != nil || n != 2+round {
			t.Errorf("round %d: %d, %v", round, n, err)
		}
		if n, err := add.Call(ctx, c, 0); err != nil || n != 7 { // it cannot cross: it was made anew
			t.Errorf("round %d: %d, %v", round, n, err)
		}
		if n, err := manager.Get[int](ctx, m, "key"); err != nil || n != round {
			t.Errorf("round %d: the table has %d, %v", round, n, err)
		}
		if _, err := addMany.Call(ctx, pool, addTo{c, 1, nil}); err != nil {
			t.Errorf("round %d: a worker: %v", round, err)
		}
	}
	if err := m.As(op).Status(ctx, "well"); err != nil {
		t.Errorf("an operator of before: %v", err)
	}
	if err := open(t).Keep(ctx); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("kept what lives here: %v", err)
	}
}

// TestSlowMethod does not hold up the calls of others from the same process.
func TestSlowMethod(t *testing.T) {
	ctx := inTime(t)
	m := openWith(t, manager.Options{Process: true})
	slow, err := manager.ShareNew(ctx, m, "", newCounter, 0)
	if err != nil {
		t.Fatal(err)
	}
	quick, err := manager.ShareNew(ctx, m, "", newCounter, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		begun, err := shm.NewEvent()
		if err != nil {
			t.Fatal(err)
		}
		ctx2, cancel := context.WithCancel(ctx)
		f := waits.Go(ctx2, slow, begun)
		if err := begun.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if _, err := add.Call(ctx, quick, 1); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if _, err := f.Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
		if err := begun.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestNoGrowth makes many calls, after which there is no more memory in use than after the first.
func TestNoGrowth(t *testing.T) {
	ctx := inTime(t)
	m := openWith(t, manager.Options{Process: true})
	c, err := manager.ShareNew(ctx, m, "", newCounter, 0)
	if err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	n := 100_000
	if !long.Wanted() {
		n = 10_000
	}
	call := func(n int) {
		for range n {
			if _, err := add.Call(ctx, c, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	call(1000)
	before := heap()
	call(n)
	const slack = 1 << 20
	if after := heap(); after > before+slack {
		t.Errorf("%d bytes before, %d after %d calls", before, after, n)
	}
}

var openOwn = xme.Register("openOwn", func(ctx context.Context, process bool) (*manager.Object[counter], error) {
	m, err := manager.Open(ctx, manager.Options{Process: process}) // it ends with this process
	if err != nil {
		return nil, err
	}
	c, err := manager.ShareNew(ctx, m, "c", newCounter, 3)
	if err != nil {
		return nil, err
	}
	_, err = add.Call(ctx, c, 1)
	return c, err
})

// feature: U7
//
// TestTaskOpens has a task open a manager, which other processes use until that worker ends.
func TestTaskOpens(t *testing.T) {
	for name, process := range map[string]bool{"in the worker": false, "process": true} {
		t.Run(name, func(t *testing.T) {
			ctx := inTime(t)
			pool := xmetest.Open(t, xme.Options{Workers: 2})
			c, err := openOwn.With(xme.On(1)).Call(ctx, pool, process)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := add.Call(ctx, c, 1); err != nil || n != 5 {
				t.Fatalf("the driver's call: %d, %v", n, err)
			}
			if n, err := addMany.With(xme.On(2)).Call(ctx, pool, addTo{c, 1, nil}); err != nil || n != 6 {
				t.Fatalf("another worker's call: %d, %v", n, err)
			}
			xmetest.Kill(t, pool, 1)
			for err == nil { // until it is noticed
				_, err = add.Call(ctx, c, 1)
			}
			if !errors.Is(err, manager.ErrLost) {
				t.Errorf("after its worker died: %v", err)
			}
		})
	}
}

// handles are what is left of a manager whose own handle nobody has.
type handles struct {
	Object *manager.Object[counter]
	List   *manager.List[int]
	Map    *manager.Map[string, int]
	Lock   *manager.Lock
}

// openAndLeave opens a manager, returns handles on what lives there, and keeps nothing.
var openAndLeave = xme.Register("openAndLeave", func(ctx context.Context, process bool) (h handles, err error) {
	m, err := manager.Open(ctx, manager.Options{Process: process})
	if err != nil {
		return h, err
	}
	var errs [4]error
	h.Object, errs[0] = manager.ShareNew(ctx, m, "", newCounter, 3)
	h.List, errs[1] = manager.NewList(ctx, m, "", 1)
	h.Map, errs[2] = manager.NewMap[string, int](ctx, m, "")
	h.Lock, errs[3] = m.NewLock(ctx, manager.LockOptions{})
	return h, errors.Join(errs[:]...)
})

var collectGarbage = xme.Register("collectGarbage", func(context.Context, struct{}) (struct{}, error) {
	for range 3 {
		runtime.GC() // what nobody has is gone, and its cleanups have been run
		runtime.Gosched()
	}
	return struct{}{}, nil
})

// use changes what lives in a manager, and says what that comes to.
var use = xme.Register("use", func(ctx context.Context, h handles) (int, error) {
	errs := [3]error{h.Lock.Acquire(ctx), h.List.Append(ctx, 1)}
	n, err := add.Call(ctx, h.Object, 1)
	_, errs[2] = manager.AddTo(ctx, h.Map, "n", 1)
	return n, errors.Join(errs[0], errs[1], errs[2], err, manager.Set(ctx, h.Object.Manager(), "n", n), h.Lock.Release(ctx))
})

// A manager lives as long as the process that opened it, and not as a variable or a task of that: whoever has handles uses them, though nobody has the
// manager's own.
//
// feature: F21
func TestManagerOutlivesItsVariable(t *testing.T) {
	for name, process := range map[string]bool{"in the worker": false, "process": true} {
		t.Run(name, func(t *testing.T) {
			ctx, pool := inTime(t), xmetest.Open(t, xme.Options{Workers: 2})
			h, err := openAndLeave.With(xme.On(1)).Call(ctx, pool, process)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Lock.Close()
			for i := range 5 {
				if _, err := collectGarbage.With(xme.On(1)).Call(ctx, pool, struct{}{}); err != nil {
					t.Fatal(err)
				}
				rank := 1 + i%2
				n, err := use.With(xme.On(rank)).Call(ctx, pool, h)
				if n != 4+2*i || err != nil {
					t.Fatalf("worker %d: %d, %v", rank, n, err)
				}
				if n, err := add.Call(ctx, h.Object, 1); n != 5+2*i || err != nil {
					t.Fatalf("the driver: %d, %v", n, err)
				}
			}
			if n, err := h.List.Len(ctx); n != 6 || err != nil {
				t.Errorf("the list has %d, %v", n, err)
			}
		})
	}
}

var callNested = xme.Register("callNested", func(ctx context.Context, c *manager.Object[counter]) (int, error) {
	pool, err := xme.Open(ctx, xme.Options{Workers: 1, NoLog: true})
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	a, err := shm.NewArray[int](1)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	if _, err := fill.Call(ctx, c, a); err != nil {
		return 0, err
	}
	return addMany.Call(ctx, pool, addTo{c, 10, nil})
})

// TestWorkersOfWorkers reach a manager through their driver's driver.
func TestWorkersOfWorkers(t *testing.T) {
	ctx := inTime(t)
	for name, o := range map[string]manager.Options{"here": {}, "process": {Process: true}} {
		t.Run(name, func(t *testing.T) {
			c, err := manager.ShareNew(ctx, openWith(t, o), "", newCounter, 0)
			if err != nil {
				t.Fatal(err)
			}
			pool := xmetest.Open(t, xme.Options{Workers: 1})
			for round := range 2 {
				if n, err := callNested.Call(ctx, pool, c); err != nil || n != 10*(round+1) {
					t.Errorf("%d, %v", n, err)
				}
			}
		})
	}
}

// TestCallersCrowd has many goroutines of several processes call at once.
func TestCallersCrowd(t *testing.T) {
	ctx := inTime(t)
	c, err := manager.ShareNew(ctx, openWith(t, manager.Options{Process: true}), "", newCounter, 0)
	if err != nil {
		t.Fatal(err)
	}
	const goroutines, each = 100, 50
	var failed atomic.Int64
	done := make(chan struct{}, goroutines)
	for g := range goroutines {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range each {
				if g%10 == 0 { // some give up
					short, cancel := context.WithTimeout(ctx, time.Duration(i)*10*time.Microsecond)
					_, err := add.Call(short, c, 0)
					cancel()
					if err != nil && !errors.Is(err, context.DeadlineExceeded) {
						failed.Add(1)
					}
					continue
				}
				b := make([]byte, 1000*(g%7))
				if got, err := echoBytes.Call(ctx, c, b); err != nil || len(got) != len(b) {
					failed.Add(1)
				}
				if _, err := add.Call(ctx, c, 1); err != nil {
					failed.Add(1)
				}
			}
		}()
	}
	for range goroutines {
		<-done
	}
	n, err := add.Call(ctx, c, 0)
	if err != nil || failed.Load() > 0 || n != goroutines*9/10*each {
		t.Errorf("%d of %d, %d failed, %v", n, goroutines*9/10*each, failed.Load(), err)
	}
}

type waitJob struct {
	Object *manager.Object[counter]
	Begun  *shm.Event
}

var waitIn = xme.Register("waitIn", func(ctx context.Context, j waitJob) (int, error) { return waits.Call(ctx, j.Object, j.Begun) })

// TestCallerDiesInMethod ends the context of a method whose caller is gone: the object is free for others.
func TestCallerDiesInMethod(t *testing.T) {
	for name, o := range map[string]manager.Options{"here": {}, "process": {Process: true}} {
		t.Run(name, func(t *testing.T) {
			ctx := inTime(t)
			c, err := manager.ShareNew(ctx, openWith(t, o), "", newCounter, 0)
			if err != nil {
				t.Fatal(err)
			}
			pool := xmetest.Open(t, xme.Options{Workers: 1})
			begun, err := shm.NewEvent()
			if err != nil {
				t.Fatal(err)
			}
			defer begun.Close()
			f := waitIn.Go(ctx, pool, waitJob{c, begun})
			if err := begun.Wait(ctx); err != nil {
				t.Fatal(err)
			}
			xmetest.Kill(t, pool, 1)
			if n, err := add.Call(ctx, c, 0); err != nil || n != -1 {
				t.Errorf("after the caller died: %d, %v", n, err)
			}
			if _, err := f.Wait(ctx); !errors.Is(err, xme.ErrWorkerLost) {
				t.Error(err)
			}
		})
	}
}
