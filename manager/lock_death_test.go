package manager_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

var forgets = xme.Register("forgets", func(ctx context.Context, s scene) (struct{}, error) {
	if s.Role == 1 {
		l, err := s.M.FindLock(ctx, "left")
		if err != nil {
			return struct{}{}, err
		}
		if s.Read {
			return struct{}{}, l.AcquireRead(ctx)
		}
		return struct{}{}, l.Acquire(ctx)
	}
	return struct{}{}, s.Lock.Acquire(ctx)
})

// A task returns without giving a lock back: the next one has it, and is told.
//
// feature: K6
func TestLockOfATaskThatForgets(t *testing.T) {
	for _, kind := range []manager.Kind{manager.Mutex, manager.Spin, manager.ReadWrite, manager.Authorisation} {
		t.Run(kind.String(), func(t *testing.T) {
			on(t, func(t *testing.T, x xme.Executor) {
				m := openWith(t, manager.Options{})
				l := newLock(t, m, manager.LockOptions{Name: "left", Kind: kind})
				_, err := forgets.Call(soon(t), x, scene{Lock: l})
				must(t, err)
				err = l.Acquire(soon(t))
				died, ok := errors.AsType[*shm.OwnerDiedError](err)
				if !ok || !died.Ended || died.Owner.Func != "forgets" {
					t.Fatalf("got %v", err)
				}
				must(t, l.Acquire(soon(t))) // it has it
				must(t, l.Release(soon(t)))
				must(t, l.Do(soon(t), func(died *shm.OwnerDiedError) error {
					if died != nil {
						t.Errorf("told twice: %v", died)
					}
					return nil
				}))
			})
		})
	}
}

// Whoever changes the kind of a lock that was left is not the one who is told.
//
// feature: K4, K6
func TestLockLeftAndChanged(t *testing.T) {
	on(t, func(t *testing.T, x xme.Executor) {
		m := openWith(t, manager.Options{})
		l := newLock(t, m, manager.LockOptions{Kind: manager.Mutex})
		_, err := forgets.Call(soon(t), x, scene{Lock: l})
		must(t, err)
		must(t, l.SetKind(soon(t), manager.ReadWrite))
		if err := l.AcquireRead(soon(t)); !errors.Is(err, shm.ErrOwnerDied) {
			t.Errorf("a reader got %v", err)
		}
		must(t, l.ReleaseRead(soon(t)))
		told := false
		must(t, l.Do(soon(t), func(died *shm.OwnerDiedError) error {
			told = died != nil
			return nil
		}))
		if !told {
			t.Error("the next writer was not told")
		}
		must(t, l.AcquireRead(soon(t)))
		must(t, l.ReleaseRead(soon(t)))
	})
}

// A lock that a task found by its name is the task's too.
//
// feature: K2, K6
func TestLockFoundInATask(t *testing.T) {
	x := xmetest.OpenInProcess(t, xme.Options{Workers: 1})
	m := openWith(t, manager.Options{})
	l := newLock(t, m, manager.LockOptions{Name: "left"})
	_, err := forgets.Call(soon(t), x, scene{M: m, Role: 1})
	must(t, err)
	if err := l.Acquire(soon(t)); !errors.Is(err, shm.ErrOwnerDied) {
		t.Fatalf("got %v", err)
	}
	must(t, l.Release(soon(t)))
}

// A task that read under a lock that it had found is forgotten with it, also where the manager lives in its process.
//
// feature: K6
func TestReadLockFoundInATask(t *testing.T) {
	on(t, func(t *testing.T, x xme.Executor) {
		m := openWith(t, manager.Options{})
		l := newLock(t, m, manager.LockOptions{Name: "left"})
		_, err := forgets.Call(soon(t), x, scene{M: m, Role: 1, Read: true})
		must(t, err)
		must(t, l.Acquire(soon(t)))
		must(t, l.Release(soon(t)))
	})
}

// A worker is killed that holds the lock: who waits for it gets it, and is told.
//
// feature: K6
func TestLockOutlivesItsHolder(t *testing.T) {
	for _, kind := range []manager.Kind{manager.Mutex, manager.Spin} {
		t.Run(kind.String(), func(t *testing.T) {
			pool := xmetest.Open(t, xme.Options{Workers: 1})
			m, s := openWith(t, manager.Options{}), newScene(t)
			s.Lock = newLock(t, m, manager.LockOptions{Kind: kind})
			held := holdUntil.Go(soon(t), pool, s)
			must(t, s.come(soon(t), 1))
			waits := make(chan error)
			go func() { waits <- s.Lock.Acquire(soon(t)) }()
			xmetest.Kill(t, pool, 1)
			err := <-waits
			if died, ok := errors.AsType[*shm.OwnerDiedError](err); !ok || died.Ended || died.Owner.Func != "holdUntil" || died.Owner.Rank != 1 {
				t.Errorf("got %v", err)
			}
			if _, err := held.Wait(soon(t)); !errors.Is(err, xme.ErrWorkerLost) {
				t.Errorf("got %v", err)
			}
			must(t, s.Lock.Release(soon(t)))
			_, err = acquireOnce.Call(soon(t), pool, scene{Lock: s.Lock})
			must(t, err)
		})
	}
}

// crosswise takes one lock, waits until the other task has the other, and asks for that.
var crosswise = xme.Register("crosswise", func(ctx context.Context, s scene) (struct{}, error) {
	if err := s.Lock.Acquire(ctx); err != nil {
		return struct{}{}, err
	}
	defer func() { _ = s.Lock.Release(ctx) }()
	shm.Add(s.Here, 1)
	if err := s.come(ctx, 2); err != nil {
		return struct{}{}, err
	}
	if err := s.Other.Acquire(ctx, manager.WithWait(s.Wait)); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.Other.Release(ctx)
})

// Each of two tasks has what the other waits for: who loses patience is told of the cycle.
//
// feature: K3
func TestLockDeadlock(t *testing.T) {
	for _, kind := range []manager.Kind{manager.Mutex, manager.ReadWrite} {
		t.Run(kind.String(), func(t *testing.T) {
			onMany(t, 2, func(t *testing.T, x xme.Executor) {
				m, s := openWith(t, manager.Options{}), newScene(t)
				left := newLock(t, m, manager.LockOptions{Name: "left", Kind: kind})
				right := newLock(t, m, manager.LockOptions{Name: "right", Kind: kind})
				s.Lock, s.Other, s.Wait = left, right, 420*time.Millisecond
				first := crosswise.Go(soon(t), x, s)
				s.Lock, s.Other, s.Wait = right, left, time.Minute
				second := crosswise.Go(soon(t), x, s)
				_, err := first.Wait(soon(t))
				if !errors.Is(err, manager.ErrDeadlock) || !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("got %v", err)
				}
				for _, want := range []string{`lock "right"`, `waits for read-write mutex "right", held by`, `which waits for read-write mutex "left", held by`, "in crosswise"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("no %q in %q", want, err)
					}
				}
				if _, err := second.Wait(soon(t)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
