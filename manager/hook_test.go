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
)

var errLate = xme.RegisterError("github.com/xenonmp/xme/manager_test.errLate", errors.New("too late"))

var (
	failures struct {
		sync.Mutex
		all []manager.LockFailure
	}
	// late fails with an error of its own.
	late = xme.Register("late", func(_ context.Context, f manager.LockFailure) (struct{}, error) {
		return struct{}{}, fmt.Errorf("%s, operator %d, release %v, held by %q: %w", f.Lock, f.Operator, f.Release, f.Holder, errLate)
	})
	// notes keeps what it is told.
	notes = xme.Register("notes", func(_ context.Context, f manager.LockFailure) (struct{}, error) {
		failures.Lock()
		defer failures.Unlock()
		failures.all = append(failures.all, f)
		return struct{}{}, nil
	})
	panics = xme.Register("panics", func(context.Context, manager.LockFailure) (struct{}, error) { panic("no") })
	// lies claims that the lock is held.
	lies = xme.Register("lies", func(context.Context, manager.LockFailure) (struct{}, error) { return struct{}{}, shm.ErrOwnerDied })
)

var releaseUnheld = xme.Register("releaseUnheld", func(ctx context.Context, s scene) (struct{}, error) {
	return struct{}{}, s.Lock.Release(ctx)
})

// The hooks of a lock run in whatever process the call is made, and their errors are the call's.
//
// feature: K3, F13, F14, F15
func TestLockHooks(t *testing.T) {
	on(t, func(t *testing.T, x xme.Executor) {
		m := openWith(t, manager.Options{})
		l := newLock(t, m, manager.LockOptions{Name: "hooked", Kind: manager.Mutex, Wait: time.Millisecond, OnAcquire: late, OnRelease: late})
		must(t, l.Acquire(soon(t)))
		_, acquire := acquireOnce.Call(soon(t), x, scene{Lock: l})
		_, release := releaseUnheld.Call(soon(t), x, scene{Lock: l})
		for name, err := range map[string]error{"acquire": acquire, "release": release} {
			if !errors.Is(err, errLate) || errors.Is(err, manager.ErrNotHolder) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		must(t, l.SetHooks(t.Context(), nil, nil))
		must(t, l.SetWait(t.Context(), 2*time.Millisecond))
		if _, err := acquireOnce.Call(soon(t), x, scene{Lock: l}); errors.Is(err, errLate) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a hook: %v", err)
		}
		if _, err := releaseUnheld.Call(soon(t), x, scene{Lock: l}); !errors.Is(err, manager.ErrNotHolder) {
			t.Errorf("without a hook: %v", err)
		}
		if wait, mute := l.Patience(); wait != 2*time.Millisecond || mute != 100*time.Millisecond {
			t.Errorf("it waits %v, mute %v", wait, mute)
		}
		must(t, l.Release(soon(t)))
	})
}

// A call's own hook stands for the lock's; whatever it does, a lock that is not held is not reported as held.
//
// feature: K3
func TestLockHookOfACall(t *testing.T) {
	m := openWith(t, manager.Options{})
	failures.all = nil
	l := newLock(t, m, manager.LockOptions{Name: "noted", Kind: manager.Mutex, OnAcquire: late})
	other := l.As(m.Operator())
	must(t, l.Acquire(soon(t)))
	wait := manager.WithWait(time.Millisecond)
	if err := other.Acquire(soon(t), wait, manager.WithHook(notes)); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errLate) {
		t.Errorf("got %v", err)
	}
	if err := other.Release(soon(t), manager.WithHook(notes)); !errors.Is(err, manager.ErrNotHolder) {
		t.Errorf("got %v", err)
	}
	if len(failures.all) != 2 {
		t.Fatalf("noted %+v", failures.all)
	}
	a, r := failures.all[0], failures.all[1]
	if a.Lock != `lock "noted"` || a.Operator != 1 || a.Release || a.Waited <= 0 || a.Holder == "" || a.Message == "" || a.Cycle || !r.Release {
		t.Errorf("noted %+v, %+v", a, r)
	}
	if err := other.Acquire(soon(t), wait, manager.WithHook(panics)); !errors.Is(err, xme.ErrPanic) {
		t.Errorf("got %v", err)
	}
	if err := other.Acquire(soon(t), wait, manager.WithHook(lies)); err == nil || errors.Is(err, shm.ErrOwnerDied) {
		t.Errorf("got %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := other.Acquire(ended); !errors.Is(err, errLate) { // the hook's context has not ended
		t.Errorf("got %v", err)
	}
	must(t, l.Release(soon(t)))
}

// A change of a table that waits for a lock in vain tells the lock's hook, in every process: of the manager's own lock, and of one that guards the table.
//
// feature: K3, K5
func TestLockHookOfATable(t *testing.T) {
	on(t, func(t *testing.T, x xme.Executor) {
		hooked := manager.LockOptions{Kind: manager.Mutex, Wait: time.Millisecond, OnAcquire: late}
		m := openWith(t, manager.Options{Lock: hooked})
		l := newLock(t, m, hooked)
		for name, held := range map[string]*manager.Lock{"the manager's": m.Lock().As(m.Operator()), "the table's": l.As(m.Operator())} {
			must(t, held.Acquire(soon(t)))
			if _, err := changeUnder.Call(soon(t), x, scene{M: m, Lock: l}); !errors.Is(err, errLate) {
				t.Errorf("%s lock is held: got %v", name, err)
			}
			must(t, held.Release(soon(t)))
		}
		_, err := changeUnder.Call(soon(t), x, scene{M: m, Lock: l})
		must(t, err)
	})
}

var changeUnder = xme.Register("changeUnder", func(ctx context.Context, s scene) (struct{}, error) {
	return struct{}{}, manager.Set(ctx, s.M.Table().Guarded(s.Lock), "key", 1)
})
