package ring_test

import (
	"slices"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

// FuzzSyncGarbage overwrites the memory of what owners agree by while it is used: it may say anything, but nothing
// leads outside the memory, and all ends.
func FuzzSyncGarbage(f *testing.F) {
	ones := slices.Repeat([]byte{0xff}, 64)
	for _, at := range []uint16{0, 8, 64, 128, 192, 576, 640} {
		f.Add(at, ones)
		f.Add(at, []byte{0, 0, 0, 0, 0x12, 0, 0, 0x80})
		f.Add(at, []byte{1, 8, 0, 0})
	}
	f.Fuzz(func(t *testing.T, at uint16, rubbish []byte) {
		me, dead := owner(1), owner(2)
		rubbishIn := func(mem []byte) { copy(mem[int(at)%len(mem):], rubbish) }

		mem := make([]byte, ring.RWLockSize)
		l := ring.NewRWLock(mem, polls{})
		l.TryRLock(dead)
		for range 2 {
			rubbishIn(mem)
			if _, err := l.Lock(ended(t), me); err == nil {
				l.Unlock(me)
			}
			if _, err := l.RLock(ended(t), me); err == nil {
				l.RUnlock(me)
			}
			_, _ = l.TryLock(me)
			_, _ = l.Since(me), l.Holders()
			l.Sweep(dead)
		}

		mem = make([]byte, ring.SemaphoreSize)
		s := ring.NewSemaphore(mem, polls{})
		s.Init(3)
		s.TryAcquire(dead, 2)
		for range 2 {
			rubbishIn(mem)
			ring.NewLock(mem[ring.LockSize:], polls{}).Sweep(ring.Word32(mem, ring.LockSize).Load() & (1<<30 - 1)) // or it waits for it
			if s.Acquire(ended(t), me, 2) == nil {
				gives(t, s.Release, me, 2)
			}
			if s.Take(ended(t), me, 1) == nil {
				gives(t, s.Post, me, 1)
			}
			if total, free := s.Total(), s.Free(); total < 0 || free < 0 {
				t.Errorf("%d free of %d", free, total)
			}
			_, _ = s.Since(me), s.Holders()
			s.Sweep(dead)
		}

		mem = make([]byte, ring.BarrierSize)
		e, c, b := ring.NewEvent(mem, polls{}), ring.NewCond(mem, polls{}), ring.NewBarrier(mem, polls{})
		b.Init(3)
		b.Join(dead)
		gen, _, _ := b.Arrive()
		ticket := c.Prepare()
		for range 2 {
			rubbishIn(mem)
			_ = e.Wait(ended(t), e.Ticket())
			e.Set()
			e.Clear()
			e.Sweep()
			c.Signal()
			_ = c.Wait(ended(t), ticket)
			c.Prepare()
			c.Broadcast()
			c.Cancel(ring.Ticket(at))
			c.Sweep()
			if _, err := b.Await(ended(t), gen); err != nil {
				b.GiveUp(me, gen)
			}
			for range 3 {
				gen, _, _ = b.Arrive()
			}
			b.Break(me, ring.BrokenAborted)
			b.Sweep(dead)
			b.Leave(me)
			b.Reset(me)
			if waiting, r := b.Now(); waiting != 0 || r.Over {
				t.Errorf("after a reset %d wait, %+v", waiting, r)
			}
		}
	})
}
