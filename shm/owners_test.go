package shm_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// twice is the same mutex by several handles, and what is done with it.
type twice struct {
	A, B    *shm.Mutex
	C       *shm.Cond
	RW, RW2 *shm.RWMutex
	Sem     *shm.Semaphore
	Sem2    *shm.Semaphore
	Barrier *shm.Barrier
	Again   *shm.Barrier
	Flag    *shm.Value[int]
	How     string
}

var (
	// closesOne has something by one handle and closes another.
	closesOne = xme.Register("closesOne", func(ctx context.Context, in twice) (bool, error) {
		err := errors.Join(in.A.Lock(ctx), in.RW.RLock(ctx), in.Sem.Acquire(ctx, 1))
		err = errors.Join(err, in.B.Close(), in.C.Close(), in.RW2.Close(), in.Sem2.Close(), in.Again.Close())
		h, held := in.A.Holder()
		_, free := in.Sem.Permits()
		ok := held && h.Func == "closesOne" && len(in.RW.Holders()) == 1 && free == 2
		return ok, errors.Join(err, in.A.Unlock(), in.RW.RUnlock(), in.Sem.Release(1))
	})
	// makesLock returns a lock that it has made, held or not.
	makesLock = xme.Register("makesLock", func(ctx context.Context, hold bool) (*shm.Mutex, error) {
		m, err := shm.NewMutex()
		if err == nil && hold {
			err = m.Lock(ctx)
		}
		return m, err
	})
	// waitsAndTakes waits for one mutex in vain and takes another.
	waitsAndTakes = xme.Register("waitsAndTakes", func(ctx context.Context, in twice) (bool, error) {
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		if err := in.A.Lock(short); !errors.Is(err, context.DeadlineExceeded) {
			return false, errors.Join(err, errors.New("not held"))
		}
		if err := in.B.Lock(ctx); err != nil {
			return false, err
		}
		for in.Flag.Store(1); in.Flag.Load() == 1 && ctx.Err() == nil; { // it waits for nothing of package shm
			<-time.After(time.Millisecond)
		}
		return true, in.B.Unlock()
	})
	// leavesBarrier breaks a barrier in one of several ways and returns.
	leavesBarrier = xme.Register("leavesBarrier", func(ctx context.Context, in meeting) (int, error) {
		if in.How == "aborts" {
			return 0, in.Barrier.Abort()
		}
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if _, err := in.Barrier.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
			return 0, err
		}
		return 0, nil
	})
)

// What a task has it has by all of its handles: that one of them is closed takes nothing away.
//
// feature: K6
func TestATaskClosesOneOfItsHandles(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		m, rw, sem, b := newMutex(t), newRWMutex(t), newSemaphore(t, 3), newBarrier(t, 2)
		c, err := shm.NewCond(m)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		in := twice{A: m, B: m, C: c, RW: rw, RW2: rw, Sem: sem, Sem2: sem, Barrier: b, Again: b}
		if ok, err := closesOne.Call(t.Context(), on, in); !ok || err != nil {
			t.Errorf("it had all of it still: %v, %v", ok, err)
		}
		if err := m.Lock(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A reader that closes its last handle is a reader no more, though its process has other locks.
func TestAReaderCloses(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		_ = newMutex(t) // the driver goes on as an owner
		rw, closed := newRWMutex(t), newEvent(t)
		if err := rw.RLock(t.Context()); err != nil {
			t.Fatal(err)
		}
		f := writesThen.Go(t.Context(), pool, writing{rw, closed})
		if err := errors.Join(rw.Close(), closed.Set()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

type writing struct {
	Lock *shm.RWMutex
	Then *shm.Event
}

var writesThen = xme.Register("writesThen", func(ctx context.Context, in writing) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return 0, errors.Join(in.Then.Wait(ctx), in.Lock.Lock(ctx), in.Lock.Unlock())
})

// Who waited once and gave up waits no more: it is part of no cycle.
//
// feature: M1
func TestNoDeadlockByAWaitThatIsOver(t *testing.T) {
	onAllOf(t, 1, func(t *testing.T, on xme.Executor) {
		flag, err := shm.NewValue(0)
		if err != nil {
			t.Fatal(err)
		}
		defer flag.Close()
		in := twice{A: newMutex(t), B: newMutex(t), Flag: flag}
		if err := in.A.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		f := waitsAndTakes.Go(t.Context(), on, in)
		for flag.Load() == 0 {
			select {
			case <-f.Done():
				t.Fatal(f.Wait(t.Context()))
			case <-time.After(time.Millisecond):
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := in.B.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, shm.ErrDeadlock) {
			t.Errorf("got %v", err)
		}
		flag.Store(2)
		if _, err := f.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A lock that a task made changes nothing about who is the driver.
func TestLocksMadeInTasks(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		before := newMutex(t)
		m, err := makesLock.Call(t.Context(), pool, true)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		err = m.Lock(t.Context())
		if died := new(shm.OwnerDiedError); !errors.As(err, &died) || died.Owner.Driver || !died.Ended {
			t.Errorf("got %v", err)
		}
		for _, m := range []*shm.Mutex{before, newMutex(t)} {
			if err := m.Lock(t.Context()); err != nil {
				t.Fatal(err)
			}
			if h, ok := m.Holder(); !ok || !h.Driver {
				t.Errorf("held by %v", h)
			}
		}
	})
}

// Who broke a barrier is known also when it is no more, and others have taken its place.
//
// feature: K6
func TestBarrierKnowsWhoBrokeIt(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		for how, why := range map[string]shm.Break{"aborts": shm.BreakAborted, "gives up": shm.BreakGaveUp, "before": shm.BreakDied} {
			in := meeting{Barrier: newBarrier(t, 2), How: how}
			breaks := leavesBarrier
			if why == shm.BreakDied {
				breaks = dieAtBarrier
			}
			for range 2 { // one of them breaks it
				if _, err := breaks.Call(t.Context(), pool, in); err != nil && !errors.Is(err, xme.ErrWorkerLost) && !errors.Is(err, shm.ErrBroken) {
					t.Fatal(err)
				}
			}
			if _, err := forgetful.Call(t.Context(), pool, guarded{Mutex: newMutex(t), Count: newArray(t, 1)}); err != nil {
				t.Fatal(err)
			}
			broke := new(shm.BarrierError)
			if err := in.Barrier.Broken(); !errors.As(err, &broke) || broke.Why != why || broke.Owner.Rank == 0 || !strings.Contains(broke.Owner.Func, "arrier") {
				t.Errorf("%s: got %v", how, err)
			}
		}
	})
}

// Closed and zero handles say so.
func TestHandlesThatCannotBeUsed(t *testing.T) {
	m := newMutex(t)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := m.Retain()
	_, zero := (&shm.Mutex{}).Retain()
	_, zeroCond := (&shm.Cond{}).Retain()
	for _, err := range []error{err, zero, zeroCond, new(shm.Mutex).Lock(t.Context()), new(shm.RWMutex).Unlock(), new(shm.Semaphore).Release(1), (&shm.Cond{L: m}).Wait(t.Context()), new(shm.Event).Set(), new(shm.Barrier).Reset()} {
		if !errors.Is(err, shm.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if err := new(shm.Mutex).Lock(t.Context()); !strings.Contains(err.Error(), "made by New functions") {
		t.Errorf("got %v", err)
	}
}

// The condition may be closed by who holds its mutex; who waits has the mutex afterwards.
func TestCondCloses(t *testing.T) {
	s := newStore(t, 1, 1)
	c := s.NotEmpty
	ended := make(chan error)
	go func() {
		if err := c.L.Lock(t.Context()); err != nil {
			ended <- err
			return
		}
		if err := s.Waiting.Set(); err != nil {
			t.Error(err)
		}
		ended <- c.Wait(t.Context())
	}()
	if err := errors.Join(s.Waiting.Wait(t.Context()), c.L.Lock(t.Context()), c.Close(), c.L.Unlock()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, shm.ErrClosed) || errors.Is(err, shm.ErrNotHeld) {
		t.Errorf("got %v", err)
	}
	if err := c.L.Unlock(); err != nil {
		t.Error(err)
	}
	// Without the mutex it says that it has it not: closed while it waited, and before.
	if err := s.Waiting.Clear(); err != nil {
		t.Error(err)
	}
	go func() {
		if err := errors.Join(c.L.Lock(t.Context()), s.Waiting.Set()); err != nil {
			t.Error(err)
		}
		ended <- s.NotFull.Wait(t.Context())
	}()
	if err := errors.Join(s.Waiting.Wait(t.Context()), c.L.Lock(t.Context()), c.L.Close(), s.NotFull.Signal()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, shm.ErrNotHeld) || !errors.Is(err, shm.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := c.L.Close(); err != nil {
		t.Error(err)
	}
	if err := s.NotFull.Wait(t.Context()); !errors.Is(err, shm.ErrNotHeld) {
		t.Errorf("got %v", err)
	}
}
