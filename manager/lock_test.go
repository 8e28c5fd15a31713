package manager_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// executors are what locks must work on alike. Those whose workers are other processes say so: what needs an answer of the manager's is asked there
// across processes.
var executors = []struct {
	name      string
	processes bool
	parallel  bool // two tasks run at a time
	open      func(t *testing.T, workers int) xme.Executor
}{
	{"inline", false, false, func(*testing.T, int) xme.Executor { return xme.Inline() }},
	{"in process", false, true, func(t *testing.T, n int) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: n}) }},
	{"processes", true, true, func(t *testing.T, n int) xme.Executor { return xmetest.Open(t, xme.Options{Workers: n}) }},
}

// on runs a test on every executor.
func on(t *testing.T, f func(t *testing.T, x xme.Executor)) {
	t.Helper()
	for _, e := range executors {
		t.Run(e.name, func(t *testing.T) { f(t, e.open(t, 2)) })
	}
}

// onMany is on for executors that run n tasks at a time.
func onMany(t *testing.T, n int, f func(t *testing.T, x xme.Executor)) {
	t.Helper()
	for _, e := range executors {
		if e.parallel {
			t.Run(e.name, func(t *testing.T) { f(t, e.open(t, n)) })
		}
	}
}

func newLock(t testing.TB, m *manager.Manager, o manager.LockOptions) *manager.Lock {
	t.Helper()
	l, err := m.NewLock(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// soon bounds what would otherwise hang.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// counting is a number that a lock guards.
type counting struct {
	Lock  *manager.Lock
	Count *shm.Array[int64]
	N     int
}

var countUnder = xme.Register("countUnder", func(ctx context.Context, in counting) (int, error) {
	for i := range in.N {
		if err := in.Lock.Acquire(ctx); err != nil {
			return i, err
		}
		in.Count.Slice()[0]++
		if err := in.Lock.Release(ctx); err != nil {
			return i, err
		}
	}
	return in.N, nil
})

func newCount(t testing.TB) *shm.Array[int64] {
	t.Helper()
	a, err := shm.NewArray[int64](8)
	must(t, err)
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// Of every kind that excludes, one has the lock at a time: tasks, and goroutines of the driver by handles of their own.
//
// feature: K1, K5
func TestLockExcludes(t *testing.T) {
	for _, kind := range []manager.Kind{manager.ReadWrite, manager.Mutex, manager.Authorisation, manager.Spin} {
		t.Run(kind.String(), func(t *testing.T) {
			on(t, func(t *testing.T, x xme.Executor) {
				m := openWith(t, manager.Options{})
				l := newLock(t, m, manager.LockOptions{Name: "count", Kind: kind})
				in := counting{l, newCount(t), 2000}
				var all sync.WaitGroup
				for range 2 {
					f := countUnder.Go(soon(t), x, in)
					all.Go(func() {
						if _, err := f.Wait(soon(t)); err != nil {
							t.Error(err)
						}
					})
					mine := l.As(m.Operator())
					all.Go(func() {
						for range in.N {
							if err := mine.Do(soon(t), func(*shm.OwnerDiedError) error {
								in.Count.Slice()[0]++
								return nil
							}); err != nil {
								t.Error(err)
							}
						}
					})
				}
				all.Wait()
				if n := in.Count.Slice()[0]; int(n) != 4*in.N {
					t.Errorf("counted %d of %d", n, 4*in.N)
				}
				if h := l.Holders(); len(h) != 0 {
					t.Errorf("still held by %v", h)
				}
			})
		})
	}
}

// A lock that is none crosses as others do, and everybody has it at once.
//
// feature: K1, F23
func TestLockDisabled(t *testing.T) {
	on(t, func(t *testing.T, x xme.Executor) {
		m := openWith(t, manager.Options{Lock: manager.LockOptions{Kind: manager.Disable}})
		l := m.Lock()
		must(t, l.Acquire(soon(t)))
		n, err := countUnder.Call(soon(t), x, counting{l, newCount(t), 3}) // fault 23
		if n != 3 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		must(t, l.Release(soon(t)))
		must(t, l.Release(soon(t)))
	})
}

// Whoever has a lock and asks again has it; one release frees it. Another handle is another holder, and so is a task.
//
// feature: K2, F14
func TestLockHolder(t *testing.T) {
	m := openWith(t, manager.Options{})
	for _, kind := range []manager.Kind{manager.ReadWrite, manager.Mutex, manager.Authorisation, manager.Spin} {
		t.Run(kind.String(), func(t *testing.T) {
			l := newLock(t, m, manager.LockOptions{Kind: kind})
			other := l.As(m.Operator())
			must(t, l.Acquire(soon(t)))
			must(t, l.Acquire(soon(t)))
			if ok, err := l.TryAcquire(soon(t)); !ok || err != nil {
				t.Errorf("the holder got %v, %v", ok, err)
			}
			if ok, err := other.TryAcquire(soon(t)); ok || err != nil {
				t.Errorf("another handle got %v, %v", ok, err)
			}
			if err := other.Release(soon(t)); !errors.Is(err, manager.ErrNotHolder) { // fault 14
				t.Errorf("got %v", err)
			}
			must(t, l.Release(soon(t)))
			if err := l.Release(soon(t)); !errors.Is(err, manager.ErrNotHolder) {
				t.Errorf("got %v", err)
			}
			if ok, err := other.TryAcquire(soon(t)); !ok || err != nil {
				t.Errorf("another handle got %v, %v", ok, err)
			}
			must(t, other.Release(soon(t)))
		})
	}
}

// A wait ends, with an error that says who has the lock; nothing that can be taken for success.
//
// feature: K3, F13, F15
func TestLockWaitIsBounded(t *testing.T) {
	m := openWith(t, manager.Options{})
	for _, kind := range []manager.Kind{manager.ReadWrite, manager.Mutex, manager.Authorisation, manager.Spin} {
		t.Run(kind.String(), func(t *testing.T) {
			l := newLock(t, m, manager.LockOptions{Name: "till " + kind.String(), Kind: kind, Wait: 20 * time.Millisecond})
			other := l.As(m.Operator())
			must(t, l.Acquire(soon(t)))
			for name, err := range map[string]error{
				"lock": other.Acquire(soon(t)), // faults 13 and 15
				"call": other.Acquire(soon(t), manager.WithWait(time.Millisecond)),
				"ctx":  other.Acquire(short(t), manager.WithWait(0)),
			} {
				we, ok := errors.AsType[*shm.WaitError](err)
				if !ok || !errors.Is(err, context.DeadlineExceeded) || len(we.Holders) != 1 || !we.Holders[0].Driver || we.Waited <= 0 {
					t.Errorf("%s: got %v", name, err)
				}
				if errors.Is(err, manager.ErrDeadlock) {
					t.Errorf("%s: called a deadlock: %v", name, err)
				}
			}
			must(t, l.Release(soon(t)))
			must(t, other.Acquire(soon(t)))
			must(t, other.Release(soon(t)))
		})
	}
}

// enter does what it is not to do without the lock, as one who checks for no more than whether there was an error.
var enter = xme.Register("enter", func(ctx context.Context, in counting) (int, error) {
	entered, errs := 0, []error(nil)
	for range in.N {
		err := in.Lock.Acquire(ctx, manager.WithWait(time.Millisecond))
		if err == nil {
			in.Count.Slice()[0]++
			entered++
			err = in.Lock.Release(ctx)
		}
		errs = append(errs, err, in.Lock.Do(ctx, func(*shm.OwnerDiedError) error {
			in.Count.Slice()[0]++
			entered++
			return nil
		}, manager.WithWait(time.Millisecond)))
	}
	return entered, errors.Join(errs...)
})

// Who was not given the lock does not come into the critical section: it is held by another, or it is not for him; wherever he is.
//
// feature: F13, F15
func TestLockNotGotIsNoLock(t *testing.T) {
	on(t, func(t *testing.T, x xme.Executor) {
		m := openWith(t, manager.Options{})
		op, err := m.NewOperator(t.Context())
		must(t, err)
		for _, kind := range []manager.Kind{manager.ReadWrite, manager.Mutex, manager.Authorisation, manager.Spin} {
			l := newLock(t, m, manager.LockOptions{Kind: kind})
			in := counting{l, newCount(t), 3}
			must(t, l.Acquire(soon(t)))
			if n, err := enter.Call(soon(t), x, in); !errors.Is(err, context.DeadlineExceeded) || n != 0 || in.Count.Slice()[0] != 0 {
				t.Errorf("%v, held by the driver: a task came in %d times: %v", kind, in.Count.Slice()[0], err)
			}
			must(t, l.Release(soon(t)))
			if kind == manager.ReadWrite || kind == manager.Authorisation {
				in.Lock = l.As(op)
				if _, err := enter.Call(soon(t), x, in); !errors.Is(err, manager.ErrNotAuthorised) || in.Count.Slice()[0] != 0 {
					t.Errorf("%v: who is not entitled came in %d times: %v", kind, in.Count.Slice()[0], err)
				}
				in.Lock = l
			}
			if n, err := enter.Call(soon(t), x, in); n != 6 || err != nil || in.Count.Slice()[0] != 6 {
				t.Errorf("%v, free: a task came in %d times, counted %d: %v", kind, n, in.Count.Slice()[0], err)
			}
		}
	})
}

// short is a context that ends while a test waits.
func short(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func ExampleKind() {
	fmt.Println(manager.ReadWrite, manager.Spin, manager.Kind(9))
	// Output: READWRITE SPIN Kind(9)
}
