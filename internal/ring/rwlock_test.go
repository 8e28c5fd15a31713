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

// owner is the number of the first owner of a slot.
func owner(slot int) uint32 { return ring.OwnerNumber(slot, 1) }

// Writers exclude all, readers exclude writers only; each gets its turn.
func TestRWLockExcludes(t *testing.T) {
	t.Parallel()
	for name, waits := range map[string]ring.Waits{"woken": newParks(), "polling": polls{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const procs, each = 4, 2000
			mem := make([]byte, ring.RWLockSize)
			n, readers, most := 0, atomic.Int32{}, atomic.Int32{}
			var all sync.WaitGroup
			for p := range procs {
				all.Go(func() {
					ctx, l, me := bounded(t), ring.NewRWLock(mem, waits), owner(p)
					for i := range each {
						if i%4 == 0 {
							if died, err := l.Lock(ctx, me); died != 0 || err != nil || readers.Load() != 0 {
								t.Errorf("died %v, %v, %d readers", died, err, readers.Load())
								return
							}
							n++
							l.Unlock(me)
							continue
						}
						if died, err := l.RLock(ctx, me); died != 0 || err != nil {
							t.Errorf("died %v, %v", died, err)
							return
						}
						most.Store(max(most.Load(), readers.Add(1)))
						was := n
						runtime.Gosched()
						if was != n {
							t.Error("written while it was read")
						}
						readers.Add(-1)
						l.RUnlock(me)
					}
				})
			}
			all.Wait()
			if n != procs*each/4 || most.Load() < 2 {
				t.Errorf("wrote %d of %d times; %d read at a time", n, procs*each/4, most.Load())
			}
		})
	}
}

// A writer that waits for a reader keeps later readers out, is woken by the last that leaves,
// by its sweep, by the end of its ctx, or finds out that the reader is no more.
func TestRWLockWriterWaits(t *testing.T) {
	t.Parallel()
	reader, writer, later := owner(1), owner(2), owner(3)
	for _, tc := range []struct {
		name string
		wake func(l *ring.RWLock, cancel func())
		err  error
	}{
		{"left", func(l *ring.RWLock, _ func()) { l.RUnlock(reader) }, nil},
		{"swept", func(l *ring.RWLock, _ func()) { l.Sweep(reader) }, nil},
		{"cancelled", func(_ *ring.RWLock, cancel func()) { cancel() }, context.Canceled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			mem, waits := make([]byte, ring.RWLockSize), newParks()
			l := ring.NewRWLock(mem, waits)
			ctx, cancel := context.WithCancel(bounded(t))
			defer cancel()
			if _, ok := l.TryRLock(reader); !ok {
				t.Fatal("not free")
			}
			wrote, read := make(chan error, 1), make(chan error, 1)
			go func() {
				_, err := ring.NewRWLock(mem, waits).Lock(ctx, writer)
				wrote <- err
			}()
			waits.await(t, ring.Word32(mem, ring.OffReaderLeft), 1)
			if _, ok := l.TryRLock(later); ok {
				t.Error("a reader passed a writer that waits")
			}
			if l.Unlock(writer) {
				t.Error("given back before it was got")
			}
			if all := l.Holders(); len(all) != 1 || all[0] != reader || l.Since(reader).IsZero() {
				t.Errorf("held by %v since %v", all, l.Since(reader))
			}
			go func() {
				_, err := ring.NewRWLock(mem, waits).RLock(bounded(t), later)
				read <- err
			}()
			waits.await(t, ring.Word32(mem, 0), 1)
			tc.wake(l, cancel)
			if err := <-wrote; !errors.Is(err, tc.err) {
				t.Fatalf("%v, want %v", err, tc.err)
			}
			if tc.err == nil {
				if l.Writer() != writer || l.Unlock(later) || !l.Unlock(writer) || l.Unlock(writer) {
					t.Error("it is not the writer's")
				}
			}
			if err := <-read; err != nil || !l.RUnlock(later) || l.RUnlock(later) {
				t.Errorf("the later reader: %v", err)
			}
			if _, ok := l.TryRLock(later); !ok {
				t.Error("the writer stands in the way still")
			}
		})
	}
	t.Run("asked for", func(t *testing.T) {
		t.Parallel()
		mem := make([]byte, ring.RWLockSize)
		l := ring.NewRWLock(mem, polls{})
		l.TryRLock(reader)
		l.SetAlive(func(owner uint32) bool { return owner != reader })
		l.Impatient()
		if _, err := l.Lock(bounded(t), writer); err != nil {
			t.Error(err)
		}
	})
}

// Whatever an owner has done when it dies, others go on once it is swept, by several at a time; they are told
// if it wrote: readers until somebody has written, writers once.
func TestRWLockOwnerDies(t *testing.T) {
	t.Parallel()
	me, dead, other := owner(1), owner(2), owner(3)
	for at := range ring.NewRWLock(make([]byte, ring.RWLockSize), newParks()).Beginnings(dead) {
		mem, waits := make([]byte, ring.RWLockSize), newParks()
		l := ring.NewRWLock(mem, waits)
		l.Beginnings(dead)[at]()
		told := make(chan uint32, 1)
		go func() {
			died, err := ring.NewRWLock(mem, waits).RLock(bounded(t), other)
			if err != nil {
				t.Errorf("%s: %v", at, err)
			}
			told <- died
		}()
		if at == "write: in" {
			waits.await(t, ring.Word32(mem, 0), 1)
		}
		for range 3 {
			l.Sweep(dead)
		}
		want := uint32(0)
		if at == "write: in" {
			want = dead
		}
		if died := <-told; died != want {
			t.Errorf("%s: a reader was told of %d, want %d", at, died, want)
		}
		if died, ok := l.TryRLock(me); died != want || !ok {
			t.Errorf("%s: another reader was told of %d, want %d; %v", at, died, want, ok)
		}
		if _, ok := l.TryLock(me); ok {
			t.Errorf("%s: written while it is read", at)
		}
		if !l.RUnlock(other) || !l.RUnlock(me) {
			t.Errorf("%s: not read", at)
		}
		for range 2 {
			if died, ok := l.TryLock(me); died != want || !ok {
				t.Errorf("%s: a writer was told of %d, want %d; %v", at, died, want, ok)
			}
			want = 0
			l.Sweep(dead) // late
			if !l.Unlock(me) {
				t.Errorf("%s: not the writer", at)
			}
		}
	}
}
