package ring_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

// Processes, a goroutine each, count together; none is lost and each gets its turn.
func TestLockExcludes(t *testing.T) {
	t.Parallel()
	for name, waits := range map[string]ring.Waits{"woken": newParks(), "polling": polls{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const procs, each = 4, 5000
			mem := make([]byte, 4096)
			n := 0
			var all sync.WaitGroup
			for me := range uint32(procs) {
				all.Go(func() {
					ctx, l := bounded(t), ring.NewLock(mem, waits)
					for i := range each {
						if died, err := l.Acquire(ctx, me+1); died || err != nil {
							t.Errorf("died %v, %v", died, err)
							return
						}
						n++
						if i%16 == 0 {
							runtime.Gosched() // others come meanwhile
						}
						l.Release(me + 1)
					}
				})
			}
			all.Wait()
			if n != procs*each {
				t.Errorf("counted %d of %d", n, procs*each)
			}
		})
	}
}

// Who waits is woken: by a release, by the sweep of the holder, by the end of its own
// context, by finding out itself that the holder is no more.
func TestLockWakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		wake func(l *ring.Lock, cancel func())
		died bool
		err  error
	}{
		{"released", func(l *ring.Lock, _ func()) { l.Release(7) }, false, nil},
		{"swept", func(l *ring.Lock, _ func()) { l.Sweep(7) }, true, nil},
		{"cancelled", func(_ *ring.Lock, cancel func()) { cancel() }, false, context.Canceled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			mem, waits := make([]byte, 4096), newParks()
			l := ring.NewLock(mem, waits)
			if _, err := l.Acquire(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(bounded(t))
			defer cancel()
			res := make(chan error, 1)
			go func() {
				other := ring.NewLock(mem, waits)
				died, err := other.Acquire(ctx, 8)
				if died != tc.died {
					err = errors.New("told wrongly whether the holder died")
				}
				res <- err
			}()
			waits.await(t, ring.Word32(mem, 0), 1)
			tc.wake(l, cancel)
			if err := <-res; !errors.Is(err, tc.err) {
				t.Errorf("%v, want %v", err, tc.err)
			}
		})
	}
}

func TestLockAsksWhoIsAlive(t *testing.T) {
	t.Parallel()
	mem := make([]byte, 4096)
	l := ring.NewLock(mem, polls{})
	var asked []uint32
	l.Alive = func(pid uint32) bool {
		asked = append(asked, pid)
		return len(asked) < 3
	}
	l.Impatient()
	if _, err := ring.NewLock(mem, polls{}).Acquire(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if died, err := l.Acquire(bounded(t), 8); !died || err != nil {
		t.Errorf("died %v, %v", died, err)
	}
	if len(asked) != 3 || asked[2] != 7 {
		t.Errorf("asked for %v", asked)
	}
}

// What the word says after each step, alone.
func TestLockWord(t *testing.T) {
	t.Parallel()
	mem := make([]byte, 4096)
	l := ring.NewLock(mem, newParks())
	word := ring.Word32(mem, 0)
	step := func(name string, ok bool, want uint32) {
		t.Helper()
		if !ok || word.Load() != want {
			t.Fatalf("%s: %v, word %#x, want %#x", name, ok, word.Load(), want)
		}
	}
	_, ok := l.TryAcquire(7)
	step("taken", ok, 7)
	_, ok = l.TryAcquire(8)
	step("taken by another", !ok, 7)
	l.Release(8)
	step("released by who does not hold it", true, 7)
	step("swept of another", !l.Sweep(8), 7)
	step("swept", l.Sweep(7), ring.DiedBit)
	step("swept again", !l.Sweep(7), ring.DiedBit)
	l.Release(7)
	step("released by the dead", true, ring.DiedBit)
	died, ok := l.TryAcquire(8)
	step("taken after a death", died && ok, 8)
	step("the next died too", l.Sweep(8), ring.DiedBit)
	died, err := l.Acquire(t.Context(), 9)
	step("taken after that", died && err == nil, 9)
	l.Release(9)
	died, err = l.Acquire(t.Context(), 9)
	step("told once", !died && err == nil, 9)
	word.Store(9 | ring.SleepBit)
	l.Release(9)
	step("released with sleepers", true, 0)
}

// A waiter whose context ends when it has been woken passes the wake-up on.
func TestLockPassesWakeUpOn(t *testing.T) {
	t.Parallel()
	mem, waits := make([]byte, 4096), newParks()
	word := ring.Word32(mem, 0)
	word.Store(7)
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	res := make(chan error, 2)
	go func() {
		_, err := ring.NewLock(mem, waits).Acquire(ctx, 8)
		res <- err
	}()
	waits.await(t, word, 1)
	go func() {
		_, err := ring.NewLock(mem, waits).Acquire(bounded(t), 9)
		res <- err
	}()
	waits.await(t, word, 2)
	word.Store(6) // the lock went from hand to hand, the last holder without the bit
	cancel()
	if err := <-res; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	waits.await(t, word, 1)
	awaitThat(t, func() bool { return word.Load() == 6|ring.SleepBit }) // the other has looked again
	ring.NewLock(mem, waits).Release(6)
	if err := <-res; err != nil {
		t.Fatal(err)
	}
}

// Who has lost often is hungry: others stand back for it.
func TestLockHungry(t *testing.T) {
	t.Parallel()
	mem, waits := make([]byte, 4096), newParks()
	word, hungry := ring.Word32(mem, 0), ring.Word32(mem, 4)
	acquire := func(me uint32) chan error {
		done := make(chan error, 1)
		go func() {
			_, err := ring.NewLock(mem, waits).Acquire(bounded(t), me)
			done <- err
		}()
		return done
	}
	l := ring.NewLock(mem, waits)
	if _, err := l.Acquire(t.Context(), 8); err != nil {
		t.Fatal(err)
	}
	nine := acquire(9)
	for rounds := 0; hungry.Load() == 0; rounds++ { // the holder takes it again at once, each time
		if rounds == 1000 {
			t.Fatal("a waiter loses for ever")
		}
		waits.await(t, word, 1)
		l.Release(8)
		if _, ok := l.TryAcquire(8); !ok {
			t.Skip("the waiter was quick") // it got the lock in fewer rounds
		}
	}
	waits.await(t, word, 1)
	word.Store(ring.SleepBit) // released, but nobody is woken yet
	eight := acquire(8)
	waits.await(t, word, 2)
	waits.Wake(word, 1)
	if err := <-nine; err != nil || hungry.Load() != 0 {
		t.Fatalf("%v, still hungry: %d", err, hungry.Load())
	}
	l.Release(9)
	if err := <-eight; err != nil {
		t.Fatal(err)
	}
}

// TestRWLockTakeFree leaves the lock to who is owed it; who only tries does not.
func TestRWLockTakeFree(t *testing.T) {
	t.Parallel()
	mem := make([]byte, ring.RWLockSize)
	l, hungry := ring.NewRWLock(mem, newParks()), ring.Word32(mem, 4)
	hungry.Store(9)
	if _, ok := l.TakeFree(8); ok {
		t.Error("it was owed to another")
	}
	if _, ok := l.TryLock(8); !ok || !l.Unlock(8) {
		t.Error("it was free")
	}
	hungry.Store(0)
	if _, ok := l.TakeFree(8); !ok || !l.Unlock(8) {
		t.Error("it was free, and owed to nobody")
	}
}

// A hungry process that died does not keep others from the lock.
func TestLockHungryDies(t *testing.T) {
	t.Parallel()
	mem, waits := make([]byte, 4096), newParks()
	waits.patient = false
	word, hungry := ring.Word32(mem, 0), ring.Word32(mem, 4)
	l := ring.NewLock(mem, waits)
	hungry.Store(9)
	if _, err := l.Acquire(bounded(t), 8); err != nil || hungry.Load() != 0 || word.Load()&^ring.SleepBit != 8 {
		t.Fatalf("%v, hungry %d, word %#x", err, hungry.Load(), word.Load())
	}
	hungry.Store(9)
	l.Sweep(9)
	if hungry.Load() != 0 {
		t.Error("it is hungry after its death")
	}
}
