package shm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// ledger is two numbers that are equal whenever nobody writes.
type ledger struct {
	Lock *shm.RWMutex
	Both *shm.Array[float64]
	N    int
	How  string
}

var (
	// keepLedger writes now and then, and reads otherwise.
	keepLedger = xme.Register("keepLedger", func(ctx context.Context, in ledger) (int, error) {
		both, wrote := in.Both.Slice(), 0
		for i := range in.N {
			if i%8 == 0 {
				wrote++
				err := in.Lock.Do(ctx, func(died *shm.OwnerDiedError) error {
					both[0]++
					both[1]++
					if died != nil {
						return died
					}
					return nil
				})
				if err != nil {
					return 0, err
				}
				continue
			}
			err := in.Lock.RDo(ctx, func(*shm.OwnerDiedError) error {
				if a, b := both[0], both[1]; a != b {
					return fmt.Errorf("read %v and %v", a, b)
				}
				return nil
			})
			if err != nil {
				return 0, err
			}
		}
		return wrote, nil
	})
	// dieUnder dies, or returns, with the lock.
	dieUnder = xme.Register("dieUnder", func(ctx context.Context, in ledger) (int, error) {
		get := in.Lock.Lock
		if strings.Contains(in.How, "read") {
			get = in.Lock.RLock
		}
		if err := get(ctx); err != nil || strings.Contains(in.How, "returns") {
			return 0, err
		}
		return 0, killSelf()
	})
)

func newRWMutex(t testing.TB) *shm.RWMutex {
	t.Helper()
	m, err := shm.NewRWMutex()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// feature: M1
func TestRWMutexExcludes(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		in := ledger{Lock: newRWMutex(t), Both: newArray(t, 2), N: 4000}
		var all sync.WaitGroup
		for range 2 {
			f := keepLedger.Go(t.Context(), on, in)
			all.Go(func() {
				if _, err := f.Wait(t.Context()); err != nil {
					t.Error(err)
				}
			})
			all.Go(func() {
				if _, err := keepLedger.Call(t.Context(), xme.Inline(), in); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := in.Both.Slice()[0]; int(n) != 4*in.N/8 {
			t.Errorf("wrote %v of %d times", n, 4*in.N/8)
		}
		if h := in.Lock.Holders(); h != nil {
			t.Errorf("still held by %v", h)
		}
	})
}

// feature: M1, K6
func TestRWMutexOutlivesItsHolders(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		for _, how := range []string{"writes", "reads", "writes and returns", "reads and returns"} {
			in := ledger{Lock: newRWMutex(t), Both: newArray(t, 2), N: 100, How: how}
			in.Lock.SetName("ledger")
			_, err := dieUnder.Call(t.Context(), pool, in)
			if killed := !strings.Contains(how, "returns"); errors.Is(err, xme.ErrWorkerLost) != killed || !killed && err != nil {
				t.Fatal(how, err)
			}
			wrote := strings.Contains(how, "writes")
			told := func(who string, err error, want bool) {
				t.Helper()
				died := new(shm.OwnerDiedError)
				if !want && err == nil {
					return
				}
				if !want || !errors.As(err, &died) || died.Owner.Func != "dieUnder" || died.What != `read-write mutex "ledger"` ||
					died.Ended != strings.Contains(how, "returns") {
					t.Errorf("%s: %s got %v", how, who, err)
				}
			}
			for range 2 {
				told("a reader", in.Lock.RLock(t.Context()), wrote)
				if err := in.Lock.RUnlock(); err != nil {
					t.Error(err)
				}
			}
			told("the writer", in.Lock.Lock(t.Context()), wrote)
			if err := in.Lock.Unlock(); err != nil {
				t.Error(err)
			}
			if _, err := keepLedger.Call(t.Context(), pool, in); err != nil {
				t.Error(how, err)
			}
		}
	})
}

// What is wrong is said; a wait names those in the way, and who reads already and waits behind a writer that a writer waits.
//
// feature: M1
func TestRWMutexExplains(t *testing.T) {
	m := newRWMutex(t)
	for _, err := range []error{m.Unlock(), m.RUnlock()} {
		if !errors.Is(err, shm.ErrNotHeld) || !strings.Contains(err.Error(), "nobody holds it") {
			t.Errorf("got %v", err)
		}
	}
	if ok, err := m.TryRLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := m.TryLock(); ok || err != nil {
		t.Fatal("written while it is read", err)
	}
	if err := m.Unlock(); !errors.Is(err, shm.ErrNotHeld) || !strings.Contains(err.Error(), "RUnlock gives back what RLock took") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := m.Lock(ctx)
	if wait := new(shm.WaitError); !errors.As(err, &wait) || !errors.Is(err, context.DeadlineExceeded) || len(wait.Holders) != 1 ||
		!wait.Holders[0].Driver || wait.Holders[0].Since.IsZero() {
		t.Errorf("got %v", err)
	}
	if ok, err := m.TryRLock(); !ok || err != nil {
		t.Error("the writer that gave up stands in the way", err)
	}
	for range 2 {
		if err := m.RUnlock(); err != nil {
			t.Error(err)
		}
	}
	if ok, err := m.TryLock(); !ok || err != nil {
		t.Error(err)
	}
	again, err := m.Retain()
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Unlock(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(again.Close(), m.Close()); err != nil {
		t.Error(err)
	}
	if err := m.RLock(t.Context()); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
