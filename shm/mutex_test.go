package shm_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// guarded is a number that a mutex guards.
type guarded struct {
	Mutex *shm.Mutex
	Count *shm.Array[float64]
	N     int
}

var (
	// countUp adds to a number that would lose additions without the mutex.
	countUp = xme.Register("countUp", func(ctx context.Context, in guarded) (int, error) {
		for i := range in.N {
			if err := in.Mutex.Lock(ctx); err != nil {
				return i, err
			}
			in.Count.Slice()[0]++
			if err := in.Mutex.Unlock(); err != nil {
				return i, err
			}
		}
		return in.N, nil
	})
	// dieHolding takes the mutex and ends its process.
	dieHolding = xme.Register("dieHolding", func(ctx context.Context, in guarded) (int, error) {
		if err := in.Mutex.Lock(ctx); err != nil {
			return 0, err
		}
		return 0, killSelf()
	})
	// forgetful takes the mutex and returns.
	forgetful = xme.Register("forgetful", func(ctx context.Context, in guarded) (int, error) {
		return 0, in.Mutex.Lock(ctx)
	})
)

func newMutex(t testing.TB) *shm.Mutex {
	t.Helper()
	m, err := shm.NewMutex()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// feature: M1
func TestMutexExcludes(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		in := guarded{newMutex(t), newArray(t, 1), 10_000}
		var all sync.WaitGroup
		for range 2 {
			f := countUp.Go(t.Context(), on, in)
			all.Go(func() {
				if _, err := f.Wait(t.Context()); err != nil {
					t.Error(err)
				}
			})
			all.Go(func() {
				for range in.N {
					if err := in.Mutex.Do(t.Context(), func(*shm.OwnerDiedError) error {
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
			t.Errorf("counted %v of %d", n, 4*in.N)
		}
		if h, ok := in.Mutex.Holder(); ok {
			t.Errorf("still held by %v", h)
		}
	})
}

// feature: M1, K6
func TestMutexOutlivesItsHolder(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		in := guarded{newMutex(t), newArray(t, 1), 10}
		in.Mutex.SetName("count")
		for range 3 {
			_, err := dieHolding.Call(t.Context(), pool, in)
			if !errors.Is(err, xme.ErrWorkerLost) {
				t.Fatal(err)
			}
			err = in.Mutex.Lock(t.Context())
			var died *shm.OwnerDiedError
			if !errors.Is(err, shm.ErrOwnerDied) || !errors.As(err, &died) || died.Ended || died.Owner.Rank == 0 || died.Owner.Func != "dieHolding" ||
				!strings.Contains(err.Error(), `mutex "count" is yours now, and worker `) {
				t.Errorf("got %v", err)
			}
			if err := in.Mutex.Unlock(); err != nil {
				t.Error(err)
			}
			if _, err := countUp.Call(t.Context(), pool, in); err != nil {
				t.Error(err)
			}
		}
	})
}

// feature: K6
func TestMutexOfATaskThatForgets(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		in := guarded{newMutex(t), newArray(t, 1), 1}
		if _, err := forgetful.Call(t.Context(), on, in); err != nil {
			t.Fatal(err)
		}
		died := new(shm.OwnerDiedError)
		if err := in.Mutex.Lock(t.Context()); !errors.As(err, &died) || !died.Ended || died.Owner.Func != "forgetful" || died.Owner.Row != -1 {
			t.Errorf("got %v", err)
		}
		if err := in.Mutex.Unlock(); err != nil {
			t.Error(err)
		}
		if err := in.Mutex.Lock(t.Context()); err != nil {
			t.Errorf("told again: %v", err)
		}
	})
}

func TestMutexIsNotHeld(t *testing.T) {
	m := newMutex(t)
	if err := m.Unlock(); !errors.Is(err, shm.ErrNotHeld) || !strings.Contains(err.Error(), "nobody holds it") {
		t.Errorf("got %v", err)
	}
	if ok, err := m.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := m.TryLock(); ok || err != nil {
		t.Errorf("taken twice, %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := m.Lock(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, shm.ErrDeadlock) || !strings.Contains(err.Error(), "held by the driver") {
		t.Errorf("got %v", err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := m.Lock(t.Context()); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestSharedBoundCountsOnce(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 1, Shared: 8 << 20})
	a := newArray(t, 5<<17) // 5 MiB
	for range 3 {
		if _, err := addBoth.Call(t.Context(), pool, [2]*shm.Array[float64]{a.Part(0, 10), a.Part(10, 20)}); err != nil {
			t.Fatal(err)
		}
	}
}

var addBoth = xme.Register("addBoth", func(_ context.Context, in [2]*shm.Array[float64]) (int, error) {
	return in[0].Len() + in[1].Len(), nil
})

func BenchmarkMutex(b *testing.B) {
	m := newMutex(b)
	for b.Loop() {
		_ = m.Lock(b.Context())
		_ = m.Unlock()
	}
}

func BenchmarkMutexGo(b *testing.B) {
	var m sync.Mutex
	for b.Loop() {
		m.Lock()
		m.Unlock() //nolint:staticcheck // the floor
	}
}
