package shm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// permits is a semaphore and how many permits are in use.
type permits struct {
	Sem  *shm.Semaphore
	Used *shm.Array[int64]
	N    int
	How  string
}

var (
	// usePermits uses some of three, again and again.
	usePermits = xme.Register("usePermits", func(ctx context.Context, in permits) (int, error) {
		used := &in.Used.Slice()[0]
		for i := range in.N {
			n := 1 + i%3
			err := in.Sem.Do(ctx, n, func() error {
				defer atomic.AddInt64(used, int64(-n))
				if u := atomic.AddInt64(used, int64(n)); u > 3 {
					return fmt.Errorf("%d in use", u)
				}
				return nil
			})
			if err != nil {
				return i, err
			}
		}
		return in.N, nil
	})
	// keepPermits gets two and dies, or returns.
	keepPermits = xme.Register("keepPermits", func(ctx context.Context, in permits) (int, error) {
		if err := in.Sem.Acquire(ctx, 2); err != nil || in.How == "returns" {
			return 0, err
		}
		return 0, killSelf()
	})
	// produce posts, a permit for each of N.
	produce = xme.Register("produce", func(_ context.Context, in permits) (int, error) {
		for range in.N {
			if err := in.Sem.Post(1); err != nil {
				return 0, err
			}
		}
		return in.N, nil
	})
)

func newSemaphore(t testing.TB, n int) *shm.Semaphore {
	t.Helper()
	s, err := shm.NewSemaphore(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func permitsOf(t *testing.T, n, times int) permits {
	t.Helper()
	used, err := shm.NewArray[int64](1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = used.Close() })
	return permits{Sem: newSemaphore(t, n), Used: used, N: times}
}

// feature: M1
func TestSemaphoreBounds(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		in := permitsOf(t, 3, 2000)
		var all sync.WaitGroup
		for _, on := range []xme.Executor{on, on, xme.Inline(), xme.Inline()} {
			all.Go(func() {
				if _, err := usePermits.Call(t.Context(), on, in); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if total, free := in.Sem.Permits(); total != 3 || free != 3 {
			t.Errorf("%d of %d free", free, total)
		}
	})
}

// Permits are made by one process and used up by another, as a count of what is there.
//
// feature: M1
func TestSemaphoreCounts(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		in := permitsOf(t, 0, 2000)
		f := produce.Go(t.Context(), on, in)
		for range in.N {
			if err := in.Sem.Take(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if ok, err := in.Sem.TryTake(1); ok || err != nil {
			t.Errorf("one too many; %v", err)
		}
	})
}

// feature: M1, K6
func TestSemaphoreGetsPermitsBack(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		for _, how := range []string{"dies", "returns"} {
			in := permitsOf(t, 3, 100)
			in.How = how
			if _, err := keepPermits.Call(t.Context(), pool, in); errors.Is(err, xme.ErrWorkerLost) != (how == "dies") {
				t.Fatal(how, err)
			}
			if err := in.Sem.Acquire(t.Context(), 3); err != nil {
				t.Error(how, err)
			}
			if h := in.Sem.Holders(); len(h) != 1 || !h[0].Driver {
				t.Errorf("held by %v", h)
			}
			if err := in.Sem.Release(3); err != nil {
				t.Error(err)
			}
			if _, err := usePermits.Call(t.Context(), pool, in); err != nil {
				t.Error(how, err)
			}
		}
	})
}

func TestSemaphoreExplains(t *testing.T) {
	for _, n := range []int{-1, shm.MaxPermits + 1} {
		if _, err := shm.NewSemaphore(n); err == nil || !strings.Contains(err.Error(), "make it 0 to") {
			t.Errorf("%d: %v", n, err)
		}
	}
	s := newSemaphore(t, 3)
	s.SetName("seats")
	for _, n := range []int{0, -1} {
		_, try := s.TryAcquire(n)
		_, tryTake := s.TryTake(n)
		for _, err := range []error{s.Acquire(t.Context(), n), s.Release(n), s.Post(n), s.Take(t.Context(), n), try, tryTake} {
			if err == nil || !strings.Contains(err.Error(), `semaphore "seats": `) || !strings.Contains(err.Error(), "make it 1 or more") {
				t.Errorf("%d: %v", n, err)
			}
		}
	}
	if err := s.Acquire(t.Context(), 4); !errors.Is(err, shm.ErrTooMany) {
		t.Errorf("got %v", err)
	}
	if err := s.Post(shm.MaxPermits); !errors.Is(err, shm.ErrTooMany) {
		t.Errorf("got %v", err)
	}
	if ok, err := s.TryAcquire(2); !ok || err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := s.Acquire(ctx, 2)
	if wait := new(shm.WaitError); !errors.As(err, &wait) || len(wait.Holders) != 1 || wait.Holders[0].Since.IsZero() {
		t.Errorf("got %v", err)
	}
	if err := s.Release(3); !errors.Is(err, shm.ErrNotHeld) || !strings.Contains(err.Error(), "3 permits, of which the caller has 2") {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Acquire(t.Context(), 1); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if total, free := s.Permits(); total != 0 || free != 0 {
		t.Errorf("%d, %d", total, free)
	}
}

// More permits than there can ever be are refused: nobody waits for them, nor behind who does.
func TestTakeOfMoreThanThereCanBe(t *testing.T) {
	t.Parallel()
	s, err := shm.NewSemaphore(1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Take(ctx, shm.MaxPermits+1); !errors.Is(err, shm.ErrTooMany) {
		t.Error(err)
	}
	if ok, err := s.TryTake(shm.MaxPermits + 1); ok || !errors.Is(err, shm.ErrTooMany) {
		t.Error(ok, err)
	}
	if err := s.Take(ctx, 1); err != nil {
		t.Error(err)
	}
}
