package manager

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme/shm"
)

func opened(t *testing.T, o LockOptions) (*Manager, *host) {
	t.Helper()
	m, err := Open(t.Context(), Options{Lock: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m, m.at.(*host)
}

// A change of the tables takes their lock, unless its holder has it; goroutines that change them by one handle exclude each other.
//
// feature: K5, F20
func TestGuard(t *testing.T) {
	for k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			m, _ := opened(t, LockOptions{Kind: k, Wait: time.Millisecond})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := m.Lock().Acquire(ctx); err != nil {
				t.Fatal(err)
			}
			leave, err := m.guard(ctx) // fault 20
			if err != nil {
				t.Fatal(err)
			}
			leave()
			if _, err := m.As(m.op).guard(ctx); k != Disable && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("another handle got %v", err)
			}
			if err := m.Lock().Release(ctx); err != nil {
				t.Error(err)
			}
			if err := m.Lock().SetWait(ctx, 0); err != nil {
				t.Error(err)
			}
			n, all := 0, sync.WaitGroup{}
			for range 4 {
				all.Go(func() {
					for range 100 {
						leave, err := m.guard(ctx)
						if err != nil {
							t.Error(err)
							return
						}
						if k != Disable {
							n++
						}
						leave()
					}
				})
			}
			all.Wait()
			if k != Disable && n != 400 {
				t.Errorf("%d of 400", n)
			}
			if h := m.Lock().Holders(); len(h) != 0 {
				t.Errorf("held by %v", h)
			}
		})
	}
	if _, err := (&Manager{}).guard(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// A change of a table does not keep from who takes the lock itself that somebody died with it.
func TestGuardLeavesTheNotice(t *testing.T) {
	m, _ := opened(t, LockOptions{})
	if err := m.Lock().Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.lock.c.abandon(m.lock.seat)
	leave, err := m.guard(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if err := m.Lock().Acquire(t.Context()); !errors.Is(err, shm.ErrOwnerDied) {
		t.Errorf("got %v", err)
	}
	if err := m.Lock().Release(t.Context()); err != nil {
		t.Error(err)
	}
}

// The host says itself who may change the tables.
//
// feature: K1, X7
func TestEntitled(t *testing.T) {
	m, h := opened(t, LockOptions{})
	other, err := m.NewOperator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check := func(k Kind, o Operator, want bool) {
		t.Helper()
		if err := h.entitled(o); want != (err == nil) || !want && !errors.Is(err, ErrNotAuthorised) {
			t.Errorf("%v, %v: %v", k, o, err)
		}
	}
	for k := range kinds {
		if err := m.Lock().SetKind(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		all := k == Disable || k == Mutex || k == Spin
		check(k, m.op, true)
		check(k, other, all)
		check(k, Operator{number: 1}, false)
		check(k, Operator{}, false)
		if err := m.Lock().Authorize(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		if err := m.Lock().Register(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		check(k, other, true)
		check(k, m.op, k != ReadWrite)
		if err := m.Lock().Authorize(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := m.Lock().Register(t.Context(), m.op); err != nil {
			t.Fatal(err)
		}
	}
}

// A lock's memory is what a process that is not the manager's makes, and sends along.
func TestNewLockFromElsewhere(t *testing.T) {
	m, h := opened(t, LockOptions{})
	b, err := LockOptions{}.board()
	if err != nil {
		t.Fatal(err)
	}
	made, err := newLockMemory("far", Mutex, b)
	if err != nil {
		t.Fatal(err)
	}
	in := newLockIn{Op: m.op, Name: "far", Kind: int(Mutex), Board: b, Memory: made}
	if _, err := opNewLock.do(t.Context(), h, &caller{conn: &hostConn{}}, in); err != nil {
		t.Fatal(err)
	}
	l, err := m.FindLock(t.Context(), "far") // the request's own is closed
	if err != nil {
		t.Fatal(err)
	}
	if err := l.SetKind(t.Context(), ReadWrite); err != nil {
		t.Error(err)
	}
	if err := l.Acquire(t.Context()); err != nil {
		t.Error(err)
	}
	if err := l.Release(t.Context()); err != nil {
		t.Error(err)
	}
	in.Name, in.Memory = "none", lockMemory{}
	if _, err := opNewLock.do(t.Context(), h, &caller{conn: &hostConn{}}, in); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// A built-in function that begins to run when its manager has closed fails.
//
// feature: X3
func TestBuiltinAfterClose(t *testing.T) {
	m, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := m.at.(*host)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range builtins {
		in := builtinRequest{Op: m.op, Name: name, Kind: int(Mutex)}
		takes := builtinTakes[name]
		if takes.keys {
			in.Keys = []string{"k"}
		}
		if takes.changes {
			in.Changes = []change{{Kind: changeDrop, Key: "k"}}
		}
		if o := h.builtin(in); !errors.Is(o.err, ErrClosed) {
			t.Errorf("%s: %v", name, o.err)
		}
	}
}

// A change of a table by who reads under its lock would wait for that reader.
//
// feature: K5, F20
func TestGuardBehindItsOwnReader(t *testing.T) {
	m, _ := opened(t, LockOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := m.Lock().AcquireRead(ctx); err != nil {
		t.Fatal(err)
	}
	if err := Set(ctx, m, "key", 1); !errors.Is(err, ErrDeadlock) {
		t.Errorf("got %v", err)
	}
	if err := m.Lock().ReleaseRead(ctx); err != nil {
		t.Error(err)
	}
	if err := Set(ctx, m, "key", 1); err != nil {
		t.Error(err)
	}
}

// Who has just got a lock that is closed now, and is to be told of a death, is.
//
// feature: K6
func TestNoticeOfAClosedLock(t *testing.T) {
	m, _ := opened(t, LockOptions{})
	a := &attempt{Lock: m.Lock(), seat: newSeat(), ctx: t.Context()}
	m.lock.c.close()
	if err := a.told(wordLeft, false); !errors.Is(err, shm.ErrOwnerDied) {
		t.Errorf("got %v", err)
	}
}
