package ring_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

const offBarrierChanged = 16

func barrierOf(parties int, waits ring.Waits) (*ring.Barrier, []byte) {
	mem := make([]byte, ring.BarrierSize)
	b := ring.NewBarrier(mem, waits)
	b.Init(parties)
	return b, mem
}

// pass waits at a barrier, as its users do.
func pass(ctx context.Context, b *ring.Barrier, me uint32) (number int, r ring.Outcome, err error) {
	gen, number, r := b.Arrive()
	if r.Over {
		return number, r, nil
	}
	if r, err = b.Await(ctx, gen); err != nil {
		r = b.GiveUp(me, gen)
	}
	if r.Over {
		err = nil
	}
	return number, r, err
}

// All have arrived whenever one passes, and each has another number.
func TestBarrierHoldsUp(t *testing.T) {
	t.Parallel()
	for name, waits := range map[string]ring.Waits{"woken": newParks(), "polling": polls{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const parties, rounds = 4, 1000
			_, mem := barrierOf(parties, waits)
			var arrived, numbers [rounds]atomic.Int64
			var all sync.WaitGroup
			for p := range parties {
				all.Go(func() {
					b, ctx := ring.NewBarrier(mem, waits), bounded(t)
					for i := range rounds {
						arrived[i].Add(1)
						n, r, err := pass(ctx, b, owner(p))
						if err != nil || r.Why != 0 || arrived[i].Load() != parties {
							t.Errorf("round %d: %d arrived, %+v, %v", i, arrived[i].Load(), r, err)
							return
						}
						numbers[i].Add(1 << (8 * n))
					}
				})
			}
			all.Wait()
			for i := range numbers {
				if n := numbers[i].Load(); n != 0x01010101 {
					t.Fatalf("round %d: numbers %x", i, n)
				}
			}
			b := ring.NewBarrier(mem, waits)
			if n, r := b.Now(); n != 0 || r.Why != 0 || b.Parties() != parties {
				t.Errorf("%d wait, %+v", n, r)
			}
		})
	}
}

// A barrier breaks for all who wait and who come, until it is reset; one that passed has passed.
func TestBarrierBreaks(t *testing.T) {
	t.Parallel()
	me, other, dead := owner(4), owner(8), owner(16) // no bits in common with how many have arrived
	for _, tc := range []struct {
		name string
		do   func(b *ring.Barrier, cancel func())
		why  int
		by   uint32
	}{
		{"gives up", func(_ *ring.Barrier, cancel func()) { cancel() }, ring.BrokenGaveUp, other},
		{"dies", func(b *ring.Barrier, _ func()) { b.Sweep(dead) }, ring.BrokenDied, dead},
		{"aborted", func(b *ring.Barrier, _ func()) { b.Break(other, ring.BrokenAborted) }, ring.BrokenAborted, other},
		{"reset", func(b *ring.Barrier, _ func()) { b.Reset(owner(5)) }, ring.BrokenReset, owner(5)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			waits := newParks()
			b, mem := barrierOf(3, waits)
			b.Join(dead)
			b.Join(dead)
			ctx, cancel := context.WithCancel(bounded(t))
			defer cancel()
			type passage struct {
				me  uint32
				r   ring.Outcome
				err error
			}
			ends := make(chan passage, 2)
			for ctx, me := range map[context.Context]uint32{bounded(t): me, ctx: other} {
				go func() {
					_, r, err := pass(ctx, ring.NewBarrier(mem, waits), me)
					ends <- passage{me, r, err}
				}()
			}
			waits.await(t, ring.Word32(mem, offBarrierChanged), 2)
			if n, _ := b.Now(); n != 2 {
				t.Errorf("%d wait", n)
			}
			tc.do(b, cancel)
			for range 2 {
				p := <-ends
				if tc.why == ring.BrokenGaveUp && p.me == other {
					if !errors.Is(p.err, context.Canceled) {
						t.Errorf("who gave up got %v", p.err)
					}
					continue
				}
				if p.err != nil || p.r.Why != tc.why || p.r.By != tc.by {
					t.Errorf("%+v, want %d by %d", p, tc.why, tc.by)
				}
			}
			_, _, r := b.Arrive()
			if broken := tc.why != ring.BrokenReset; broken != (r.Why == tc.why) {
				t.Errorf("who comes then gets %+v", r)
			}
			b.Break(me, ring.BrokenAborted) // it is broken: by whom it was stays
			if _, r := b.Now(); tc.why != ring.BrokenReset && r.Why != tc.why {
				t.Errorf("%+v", r)
			}
			b.Leave(dead)
			b.Sweep(dead) // it had left
			b.Reset(owner(5))
			if waiting, r := b.Now(); waiting != 0 || r.Over {
				t.Errorf("after the reset %d wait, %+v", waiting, r)
			}
			for i := range 3 {
				if _, n, r := b.Arrive(); n != i || r.Why != 0 || r.Over != (i == 2) {
					t.Errorf("after the reset: %d, %+v", n, r)
				}
			}
		})
	}
}

// Who looks late finds how its generation went.
func TestBarrierRemembers(t *testing.T) {
	t.Parallel()
	b, _ := barrierOf(2, newParks())
	arrive := func() uint64 {
		gen, _, _ := b.Arrive()
		return gen
	}
	for round := range 20_000 {
		broke := arrive()
		b.Reset(owner(5))
		passed := arrive()
		arrive()
		if r := b.GiveUp(owner(1), passed); !r.Over || r.Why != 0 {
			t.Fatalf("round %d: it passed, and got %+v", round, r)
		}
		for range round % 63 {
			b.Break(owner(1), ring.BrokenAborted)
			b.Reset(owner(5))
		}
		if r := b.Outcome(passed); !r.Over || r.Why != 0 {
			t.Fatalf("round %d: it passed, and finds %+v", round, r)
		}
		if r := b.Outcome(broke); round%63 < 62 && (!r.Over || r.Why != ring.BrokenReset || r.By != owner(5)) {
			t.Fatalf("round %d: it was reset, and finds %+v", round, r)
		}
	}
}

// A death is told of though the barrier was broken before, and once: also if it is swept by two, and a reset comes between.
func TestBarrierTellsOfADeath(t *testing.T) {
	t.Parallel()
	me, dead := owner(4), owner(8)
	b, _ := barrierOf(3, newParks())
	b.Join(dead)
	gen, _, _ := b.Arrive()
	b.Break(me, ring.BrokenAborted)
	b.Sweep(dead)
	if r := b.Outcome(gen); r.Why != ring.BrokenDied || r.By != dead {
		t.Errorf("who waits finds %+v", r)
	}
	b.Reset(me)
	if r := b.Outcome(gen); r.Why != ring.BrokenDied || r.By != dead {
		t.Errorf("who waited finds %+v", r)
	}
	b.Sweep(dead)
	if _, r := b.Now(); r.Over || b.Member(dead) {
		t.Errorf("broken once more: %+v", r)
	}
}

// Who waits finds out by itself that a member is no more.
func TestBarrierAsksWhoIsAlive(t *testing.T) {
	t.Parallel()
	me, dead := owner(4), owner(8)
	b, _ := barrierOf(2, polls{})
	b.Join(me)
	b.Join(dead)
	b.Alive = func(owner uint32) bool { return owner != dead }
	b.Impatient()
	if _, r, err := pass(bounded(t), b, me); err != nil || r.Why != ring.BrokenDied || r.By != dead {
		t.Errorf("%+v, %v", r, err)
	}
}

// A barrier breaks for a member that is no more and was never swept, when another has its slot.
func TestBarrierMemberOfASlotsLastOwner(t *testing.T) {
	t.Parallel()
	b := ring.NewBarrier(make([]byte, ring.BarrierSize), newParks())
	b.Init(2)
	const slot = 5
	gone := ring.OwnerNumber(slot, 1)
	b.Join(gone)
	b.Join(ring.OwnerNumber(slot, 2))
	if _, r := b.Now(); r.Why != ring.BrokenDied || r.By != gone {
		t.Errorf("%+v", r)
	}
}
