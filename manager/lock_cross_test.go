package manager_test

import (
	"context"
	"errors"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

func echo[T any](_ context.Context, v T) (T, error) { return v, nil }

var (
	echoLock    = xme.Register("echoLock", echo[*manager.Lock])
	echoLocks   = xme.Register("echoLocks", echo[map[string][]*manager.Lock])
	echoManager = xme.Register("echoManager", echo[*manager.Manager])
	makeLock    = xme.Register("makeLock", func(ctx context.Context, s scene) (*manager.Lock, error) {
		return s.M.NewLock(ctx, manager.LockOptions{Name: "made", Kind: manager.Kind(s.Role)})
	})
	// sameHolder takes a lock by one handle of the task's and gives it back by another.
	sameHolder = xme.Register("sameHolder", func(ctx context.Context, s scene) (struct{}, error) {
		if err := s.Lock.Acquire(ctx); err != nil {
			return struct{}{}, err
		}
		if err := s.Other.Acquire(ctx); err != nil {
			return struct{}{}, err
		}
		if ok, err := s.Lock.As(s.Op).TryAcquire(ctx); ok || err != nil {
			return struct{}{}, errors.Join(errors.New("another operator of the task got it too"), err)
		}
		if err := s.Other.Release(ctx); err != nil {
			return struct{}{}, err
		}
		if err := s.Lock.Release(ctx); !errors.Is(err, manager.ErrNotHolder) {
			return struct{}{}, errors.Join(errors.New("given back twice"), err)
		}
		return struct{}{}, nil
	})
)

// A lock that has crossed, there and back, is the same lock.
//
// feature: K1, K5, U1
func TestLockCrosses(t *testing.T) {
	on(t, func(t *testing.T, x xme.Executor) {
		m := openWith(t, manager.Options{})
		l := newLock(t, m, manager.LockOptions{Name: "wide", Kind: manager.Mutex})
		back, err := echoLock.Call(soon(t), x, l)
		must(t, err)
		defer func() { must(t, back.Close()) }()
		if back.Name() != "wide" || back.Operator() != l.Operator() {
			t.Errorf("got %v of %v", back, back.Operator())
		}
		must(t, back.Acquire(soon(t)))
		if ok, err := l.TryAcquire(soon(t)); ok || err != nil {
			t.Errorf("got %v, %v", ok, err)
		}
		must(t, back.Close()) // gives it back
		if err := back.Acquire(soon(t)); !errors.Is(err, manager.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		must(t, l.Acquire(soon(t)))
		must(t, l.Release(soon(t)))

		many, err := echoLocks.Call(soon(t), x, map[string][]*manager.Lock{"a": {l, nil, l}, "b": {m.Lock()}})
		must(t, err)
		if len(many["a"]) != 3 || many["a"][1] != nil || many["b"][0] == nil {
			t.Fatalf("got %v", many)
		}
		for _, l := range []*manager.Lock{many["a"][0], many["a"][2], many["b"][0]} {
			must(t, l.Close())
		}
		if l, err := echoLock.Call(soon(t), x, nil); l != nil || err != nil {
			t.Errorf("nil came back as %v, %v", l, err)
		}
	})
}

// Two handles of one task, with one operator, are one holder.
//
// feature: K2
func TestLockHolderIsATask(t *testing.T) {
	on(t, func(t *testing.T, x xme.Executor) {
		m := openWith(t, manager.Options{})
		op, err := m.NewOperator(t.Context())
		must(t, err)
		l := newLock(t, m, manager.LockOptions{Kind: manager.Mutex})
		_, err = sameHolder.Call(soon(t), x, scene{Lock: l, Other: l, Op: op})
		must(t, err)
	})
}

// The manager's own lock goes along with its handle, and ADMIN is ADMIN everywhere.
//
// feature: K1, K5, F22
func TestLockOfTheManager(t *testing.T) {
	on(t, func(t *testing.T, x xme.Executor) {
		m := openWith(t, manager.Options{Lock: manager.LockOptions{Name: "tables"}})
		who, err := acquireOnce.Call(soon(t), x, scene{M: m}) // fault 22
		if who != "ADMIN" || err != nil {
			t.Errorf("got %q, %v", who, err)
		}
		must(t, m.Lock().Acquire(soon(t)))
		if _, err := acquireOnce.Call(soon(t), x, scene{M: m, Wait: 1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		must(t, m.Lock().Release(soon(t)))
		back, err := echoManager.Call(soon(t), x, m)
		must(t, err)
		must(t, back.Lock().Acquire(soon(t)))
		must(t, back.Close())
		must(t, m.Lock().Acquire(soon(t)))
		must(t, m.Lock().Release(soon(t)))
	})
}

// A task makes a lock and returns it; others find it by its name.
//
// feature: K5
func TestLockMadeInATask(t *testing.T) {
	x := xmetest.OpenInProcess(t, xme.Options{Workers: 1})
	m := openWith(t, manager.Options{})
	l, err := makeLock.Call(soon(t), x, scene{M: m, Role: int(manager.Mutex)})
	must(t, err)
	defer func() { must(t, l.Close()) }()
	found, err := m.FindLock(soon(t), "made")
	must(t, err)
	must(t, l.Acquire(soon(t)))
	if ok, err := found.TryAcquire(soon(t)); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	must(t, l.Release(soon(t)))
	if _, err := m.NewLock(soon(t), manager.LockOptions{Name: "made"}); !errors.Is(err, manager.ErrExists) {
		t.Errorf("got %v", err)
	}
	if _, err := m.FindLock(soon(t), "other"); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// What cannot be used says so.
func TestLockMisuse(t *testing.T) {
	m := openWith(t, manager.Options{})
	l := newLock(t, m, manager.LockOptions{Kind: manager.Mutex})
	held := newLock(t, m, manager.LockOptions{Kind: manager.Mutex})
	must(t, held.Acquire(soon(t)))
	waits := make(chan error)
	go func() { waits <- held.As(m.Operator()).Acquire(soon(t)) }()
	if err := held.As(m.Operator()).Acquire(short(t)); err == nil {
		t.Error("got what another has")
	}
	must(t, m.Close())
	if err := <-waits; !errors.Is(err, manager.ErrClosed) {
		t.Errorf("who waited got %v", err)
	}
	var none *manager.Lock
	for name, l := range map[string]*manager.Lock{"nil": none, "zero": {}, "closed": l, "of a zero manager": (&manager.Manager{}).Lock(), "as": none.As(m.Operator())} {
		_, kind := l.Kind()
		_, try := l.TryAcquire(soon(t))
		for method, err := range map[string]error{
			"Acquire": l.Acquire(soon(t)), "AcquireRead": l.AcquireRead(soon(t)), "TryAcquire": try, "Kind": kind,
			"Do": l.Do(soon(t), func(*shm.OwnerDiedError) error { return nil }), "SetKind": l.SetKind(soon(t), manager.Spin), "Authorize": l.Authorize(soon(t)),
			"Release": l.Release(soon(t)), "ReleaseRead": l.ReleaseRead(soon(t)),
		} {
			if !errors.Is(err, manager.ErrClosed) {
				t.Errorf("%s of a lock that is %s: %v", method, name, err)
			}
		}
		if l.Holders() != nil {
			t.Errorf("%s: held", name)
		}
		must(t, l.Close())
		_ = l.String()
	}
	if _, err := echoLock.Call(soon(t), xme.Inline(), &manager.Lock{}); !errors.Is(err, xme.ErrEncode) {
		t.Errorf("a zero lock crossed: %v", err)
	}
	if _, err := echoManager.Call(soon(t), xme.Inline(), &manager.Manager{}); !errors.Is(err, xme.ErrEncode) {
		t.Errorf("a zero manager crossed: %v", err)
	}
	for _, o := range []manager.LockOptions{{Kind: 9}, {Wait: -1}, {Mute: -1}, {Name: string(make([]byte, 64))}} {
		if _, err := manager.Open(t.Context(), manager.Options{Lock: o}); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
