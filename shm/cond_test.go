package shm_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// store is a bounded store of numbers.
type store struct {
	NotFull, NotEmpty *shm.Cond
	Room              *shm.Array[int64] // how many there are, and then they
	N                 int
	Waiting           *shm.Event
}

func (s *store) put(ctx context.Context, v int64) error {
	room := s.Room.Slice()
	err := s.NotFull.L.Do(ctx, func(died *shm.OwnerDiedError) error {
		for int(room[0]) == len(room)-1 {
			if err := s.NotFull.Wait(ctx); err != nil {
				return err
			}
		}
		room[0]++
		room[room[0]] = v
		return nil
	})
	return errors.Join(err, s.NotEmpty.Signal())
}

func (s *store) take(ctx context.Context) (v int64, err error) {
	room := s.Room.Slice()
	err = s.NotEmpty.L.Do(ctx, func(*shm.OwnerDiedError) error {
		for room[0] == 0 {
			if err := s.NotEmpty.Wait(ctx); err != nil {
				return err
			}
		}
		v = room[room[0]]
		room[0]--
		return nil
	})
	return v, errors.Join(err, s.NotFull.Signal())
}

var (
	// fillStore puts the numbers up to N.
	fillStore = xme.Register("fillStore", func(ctx context.Context, s store) (int, error) {
		for i := range s.N {
			if err := s.put(ctx, int64(i)); err != nil {
				return i, err
			}
		}
		return s.N, nil
	})
	// dieWaiting waits for something in a store, and dies.
	dieWaiting = xme.Register("dieWaiting", func(ctx context.Context, s store) (int, error) {
		go func() {
			_ = s.NotEmpty.L.Do(ctx, func(*shm.OwnerDiedError) error { return errors.Join(s.Waiting.Set(), s.NotEmpty.Wait(ctx)) })
		}()
		if err := s.Waiting.Wait(ctx); err != nil {
			return 0, err
		}
		if err := s.NotEmpty.L.Lock(ctx); err != nil { // now that waits
			return 0, err
		}
		return 0, killSelf()
	})
)

func newStore(t testing.TB, room, n int) store {
	t.Helper()
	a, err := shm.NewArray[int64](room + 1)
	if err != nil {
		t.Fatal(err)
	}
	s := store{Room: a, N: n, Waiting: newEvent(t)}
	lock := newMutex(t)
	for _, c := range []**shm.Cond{&s.NotFull, &s.NotEmpty} {
		if *c, err = shm.NewCond(lock); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = errors.Join(a.Close(), s.NotFull.Close(), s.NotEmpty.Close()) })
	return s
}

// feature: M1
func TestCondHandsOn(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		s := newStore(t, 3, 1000)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if _, err := fillStore.Call(t.Context(), on, s); err != nil {
					t.Error(err)
				}
			})
		}
		sum := int64(0)
		for range 2 * s.N {
			v, err := s.take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sum += v
		}
		all.Wait()
		if want := int64(s.N) * int64(s.N-1); sum != want {
			t.Errorf("took %d, want %d", sum, want)
		}
	})
}

// Who waits goes on, though others that wait die.
//
// feature: M1, K6
func TestCondOutlivesWaiters(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		s := newStore(t, 3, 100)
		for range 3 {
			if _, err := dieWaiting.Call(t.Context(), pool, s); !errors.Is(err, xme.ErrWorkerLost) {
				t.Fatal(err)
			}
			f := fillStore.Go(t.Context(), pool, s)
			for range s.N {
				if _, err := s.take(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := f.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The mutex is held after a wait, however that ends; what is wrong is said.
func TestCondExplains(t *testing.T) {
	if _, err := shm.NewCond(nil); err == nil {
		t.Error("made of no mutex")
	}
	s := newStore(t, 1, 1)
	c := s.NotEmpty
	if err := c.Wait(t.Context()); !errors.Is(err, shm.ErrNotHeld) {
		t.Errorf("got %v", err)
	}
	if err := c.L.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := c.Wait(ctx)
	if wait := new(shm.WaitError); !errors.As(err, &wait) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(c.L.Unlock(), c.Signal(), c.Broadcast()); err != nil {
		t.Error(err)
	}
	r, err := c.Retain()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.L.Lock(t.Context()), r.Close()); err != nil {
		t.Error(err)
	}
	if err := c.L.Unlock(); err != nil { // the process has it
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for _, err := range []error{c.Wait(t.Context()), c.Signal(), c.Broadcast()} {
		if !errors.Is(err, shm.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := c.Retain(); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := s.NotFull.L.Close(); err != nil {
		t.Error(err)
	}
	if _, err := shm.NewCond(c.L); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
