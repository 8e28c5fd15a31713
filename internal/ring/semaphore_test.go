package ring_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

func semaphoreOf(total int, waits ring.Waits) (*ring.Semaphore, []byte) {
	mem := make([]byte, ring.SemaphoreSize)
	s := ring.NewSemaphore(mem, waits)
	s.Init(total)
	return s, mem
}

// No more than there are permits are in use, and each gets its turn.
func TestSemaphoreBounds(t *testing.T) {
	t.Parallel()
	for name, waits := range map[string]ring.Waits{"woken": newParks(), "polling": polls{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const procs, each, total = 4, 2000, 3
			s, mem := semaphoreOf(total, waits)
			var used atomic.Int32
			var all sync.WaitGroup
			for p := range procs {
				all.Go(func() {
					ctx, s, me := bounded(t), ring.NewSemaphore(mem, waits), owner(p)
					for i := range each {
						n := 1 + (i+p)%total
						if err := s.Acquire(ctx, me, n); err != nil {
							t.Error(err)
							return
						}
						if u := used.Add(int32(n)); u > total {
							t.Errorf("%d of %d in use", u, total)
						}
						if i%16 == 0 {
							runtime.Gosched()
						}
						used.Add(int32(-n))
						if !gives(t, s.Release, me, n) {
							t.Error("not had")
						}
					}
				})
			}
			all.Wait()
			if s.Free() != total || !s.TryAcquire(owner(1), total) || s.TryAcquire(owner(2), 1) || gives(t, s.Release, owner(2), 1) {
				t.Errorf("%d free", s.Free())
			}
		})
	}
}

// Who wants many permits is passed by nobody, and is woken when there are enough.
func TestSemaphoreWakes(t *testing.T) {
	t.Parallel()
	holder, waiter, later := owner(1), owner(2), owner(3)
	for _, tc := range []struct {
		name string
		wake func(s *ring.Semaphore, cancel func())
		err  error
	}{
		{"released", func(s *ring.Semaphore, _ func()) { gives(t, s.Release, holder, 1); gives(t, s.Release, holder, 1) }, nil},
		{"posted", func(s *ring.Semaphore, _ func()) { gives(t, s.Post, holder, 2) }, nil},
		{"swept", func(s *ring.Semaphore, _ func()) { s.Sweep(holder) }, nil},
		{"cancelled", func(_ *ring.Semaphore, cancel func()) { cancel() }, context.Canceled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			waits := newParks()
			s, mem := semaphoreOf(3, waits)
			ctx, cancel := context.WithCancel(bounded(t))
			defer cancel()
			if !s.TryAcquire(holder, 2) {
				t.Fatal("not free")
			}
			got := make(chan error, 2)
			go func() { got <- ring.NewSemaphore(mem, waits).Acquire(ctx, waiter, 3) }()
			waits.await(t, ring.Word32(mem, ring.OffCome), 1)
			if s.TryAcquire(later, 1) {
				t.Error("it passed one that waits")
			}
			if all := s.Holders(); len(all) != 1 || all[0] != holder || s.Since(holder).IsZero() {
				t.Errorf("held by %v since %v", all, s.Since(holder))
			}
			tc.wake(s, cancel)
			if err := <-got; !errors.Is(err, tc.err) {
				t.Fatalf("%v, want %v", err, tc.err)
			}
			if tc.err != nil && !s.TryAcquire(later, 1) {
				t.Error("it stands in the way still")
			}
			if tc.err == nil && s.Held(waiter) != 3 {
				t.Errorf("has %d", s.Held(waiter))
			}
		})
	}
	t.Run("asked for", func(t *testing.T) {
		t.Parallel()
		s, _ := semaphoreOf(1, polls{})
		s.TryAcquire(holder, 1)
		s.SetAlive(func(owner uint32) bool { return owner != holder })
		s.Impatient()
		if err := s.Acquire(bounded(t), waiter, 1); err != nil {
			t.Error(err)
		}
		s.Beginnings(holder)["count: stale cleared"]()
		if s.TryAcquire(later, 1) || !gives(t, s.Release, waiter, 1) {
			t.Error("free was not counted again")
		}
	})
}

// Permits that are taken away and posted, by anybody.
func TestSemaphoreTakeAndPost(t *testing.T) {
	t.Parallel()
	const each = 2000
	waits := newParks()
	s, mem := semaphoreOf(0, waits)
	var all sync.WaitGroup
	for p := range 2 {
		all.Go(func() {
			s, ctx := ring.NewSemaphore(mem, waits), bounded(t)
			for range each {
				if err := s.Take(ctx, owner(p), 1); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			s := ring.NewSemaphore(mem, waits)
			for range each {
				if !gives(t, s.Post, owner(p+2), 1) {
					t.Error("too many")
				}
			}
		})
	}
	all.Wait()
	if s.Total() != 0 || s.Free() != 0 || s.TryTake(owner(1), 1) {
		t.Errorf("%d, %d free", s.Total(), s.Free())
	}
	if !gives(t, s.Post, owner(1), ring.MostPermits) || gives(t, s.Post, owner(1), 1) || !s.TryTake(owner(1), ring.MostPermits) {
		t.Error("the bound")
	}
}

// Whatever an owner has done when it dies, all permits come back once it is swept.
func TestSemaphoreOwnerDies(t *testing.T) {
	t.Parallel()
	const total = 5
	me, dead, other := owner(1), owner(2), owner(3)
	some, _ := semaphoreOf(total, newParks())
	for at := range some.Beginnings(dead) {
		waits := newParks()
		s, mem := semaphoreOf(total, waits)
		s.TryAcquire(other, 1)
		s.Beginnings(dead)[at]()
		got := make(chan error, 1)
		go func() { got <- ring.NewSemaphore(mem, waits).Acquire(bounded(t), me, total-1) }()
		awaitThat(t, func() bool {
			return waits.sleepers(ring.Word32(mem, 0))+waits.sleepers(ring.Word32(mem, ring.LockSize))+waits.sleepers(ring.Word32(mem, ring.OffCome)) > 0
		})
		for range 2 {
			s.Sweep(dead)
		}
		if err := <-got; err != nil {
			t.Errorf("%s: %v", at, err)
		}
		s.Sweep(dead) // late
		if s.Free() != 0 || s.TryAcquire(dead, 1) || !gives(t, s.Release, me, total-1) || !gives(t, s.Release, other, 1) || s.Free() != total || !s.TryAcquire(me, total) {
			t.Errorf("%s: %d free of %d", at, s.Free(), s.Total())
		}
	}
}

// gives calls Release or Post.
func gives(t testing.TB, give func(context.Context, uint32, int) (bool, error), me uint32, n int) bool {
	t.Helper()
	ok, err := give(t.Context(), me, n)
	if err != nil {
		t.Error(err)
	}
	return ok
}

// Who is stopped within a step of another's holds nobody up for longer than its ctx.
func TestSemaphoreStopped(t *testing.T) {
	t.Parallel()
	s, _ := semaphoreOf(3, newParks())
	me, stopped := owner(1), owner(2)
	if !s.TryAcquire(me, 1) {
		t.Fatal("not free")
	}
	s.Beginnings(stopped)["inner"]()
	if s.TryAcquire(me, 1) || s.TryTake(me, 1) {
		t.Error("got past it")
	}
	if err := s.Acquire(ended(t), me, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for _, give := range []func(context.Context, uint32, int) (bool, error){s.Release, s.Post} {
		if ok, err := give(ended(t), me, 1); ok || !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v", ok, err)
		}
	}
}

// Permits of one that is no more and was never swept come back when another has its slot.
func TestSemaphorePermitsOfASlotsLastOwner(t *testing.T) {
	t.Parallel()
	s, _ := semaphoreOf(3, newParks())
	const slot = 5
	if !s.TryAcquire(ring.OwnerNumber(slot, 1), 2) || !s.TryAcquire(ring.OwnerNumber(slot, 2), 1) {
		t.Fatal("not free")
	}
	if !s.TryAcquire(owner(1), 2) {
		t.Errorf("%d are free, and cannot be had", s.Free())
	}
}
