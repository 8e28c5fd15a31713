package ring

import (
	"context"
	"sync/atomic"
)

// BarrierSize is how many bytes a Barrier takes.
const BarrierSize = line + tallySize

// Barrier holds owners up until so many have arrived; then it opens for these, and the next generation
// begins. It breaks if one of them gives up or dies, and stays broken until it is reset.
//
//	offset  word
//	0       state: one word, so that each step is one compare-and-swap
//	          bits 0-29   how many have arrived; if it is broken, by whom
//	          bits 30-32  why it is broken, 0: it is not
//	          bits 33-47  the generation
//	          bits 48-63  of the last 16 generations, the latest lowest: whether it broke
//	8       parties: how many it waits for
//	16      a gate: state is another
//	64      members: who has handles on it, a tally
//
// A generation that opened or was reset is over: who waited in it and looks only now finds how it went in the 16 bits.
// (One that looks after more than 16 generations takes it that its own opened.)
type Barrier struct {
	state, parties *atomic.Uint64
	changed        gate
	members        tally
}

// Why a barrier is broken.
const (
	BrokenGaveUp  = 1 + iota // one gave up waiting
	BrokenDied               // a member is no more
	BrokenAborted            // by Break
	BrokenReset              // who waited was held up when it was reset; for them alone
)

const (
	barrierWhy  = 30
	barrierGen  = 33
	barrierPast = 48
	genMask     = 1<<(barrierPast-barrierGen) - 1
)

// MostParties is how many a barrier can wait for.
const MostParties = 1<<barrierWhy - 1

// NewBarrier makes a barrier of the first BarrierSize bytes of mem, which begin at a multiple of 8. New
// memory is all zero; Init says how many it waits for.
func NewBarrier(mem []byte, waits Waits) *Barrier {
	return &Barrier{
		state: word64(mem, 0), parties: word64(mem, 8),
		changed: gate{word32(mem, 16), waits},
		members: newTally(mem[line:BarrierSize]),
	}
}

// Init sets how many it waits for, 1 to MostParties. Call it before use.
func (b *Barrier) Init(parties int) { b.parties.Store(uint64(parties)) }

// Parties returns how many it waits for.
func (b *Barrier) Parties() int { return int(min(b.parties.Load(), MostParties)) }

// Join counts a handle of an owner's: if that dies, the barrier breaks.
func (b *Barrier) Join(me uint32) { b.members.add(me, 1) }

// Leave takes all handles of an owner away.
func (b *Barrier) Leave(me uint32) { b.members.clear(me) }

// Member reports whether an owner has handles.
func (b *Barrier) Member(owner uint32) bool { return b.members.of(owner) > 0 }

// Outcome is how it is with who has arrived.
type Outcome struct {
	Over bool   // it need not wait
	Why  int    // why the barrier is broken; 0: it is not
	By   uint32 // by whom, 0: that is not known
}

func (r Outcome) broken() bool { return r.Why != 0 }

// Arrive counts one arrival, and returns the generation and the number of the arrival in it, from 0. The one whose
// number is Parties-1 opens the barrier; the others go on to Await. If the barrier is broken nothing is counted. (Edge barrier-opened: all
// Arrives of a generation happen before the returns of their Awaits, and of the Arrive that opens it.)
func (b *Barrier) Arrive() (gen uint64, number int, r Outcome) {
	for {
		s := b.state.Load()
		if r := outcomeOf(s, s>>barrierGen&genMask); r.broken() {
			return 0, 0, r
		}
		gen, number = s>>barrierGen&genMask, int(s&MostParties)
		if number+1 < b.Parties() {
			if b.state.CompareAndSwap(s, s+1) {
				return gen, number, Outcome{}
			}
			continue
		}
		if b.state.CompareAndSwap(s, next(s, false)) {
			b.changed.open(everybody)
			return gen, number, Outcome{Over: true}
		}
	}
}

// next is the state with which the next generation begins.
func next(s uint64, broke bool) uint64 {
	past := s >> barrierPast << 1
	if broke {
		past |= 1
	}
	return past<<barrierPast | (s>>barrierGen+1)&genMask<<barrierGen
}

// outcomeOf is how it is with who arrived in a generation.
func outcomeOf(s, gen uint64) Outcome {
	switch ago := (s>>barrierGen - gen) & genMask; {
	case ago == 0:
		why := int(s >> barrierWhy & (1<<(barrierGen-barrierWhy) - 1))
		if why == 0 {
			return Outcome{}
		}
		return Outcome{Over: true, Why: why, By: uint32(s & MostParties)}
	case ago <= 64-barrierPast && s>>barrierPast>>(ago-1)&1 != 0:
		return Outcome{Over: true, Why: BrokenReset}
	}
	return Outcome{Over: true}
}

// Outcome returns how it is with who arrived in a generation.
func (b *Barrier) Outcome(gen uint64) Outcome { return outcomeOf(b.state.Load(), gen) }

// Await waits until a generation is over, or ctx ends, which gives its cause; then the caller calls GiveUp.
func (b *Barrier) Await(ctx context.Context, gen uint64) (r Outcome, err error) {
	_, err = b.changed.wait(ctx, func() bool {
		r = b.Outcome(gen)
		return r.Over
	})
	return r, err
}

// GiveUp breaks the barrier because one that has arrived waits no longer, if the generation is not over.
func (b *Barrier) GiveUp(me uint32, gen uint64) Outcome {
	for {
		s := b.state.Load()
		if r := outcomeOf(s, gen); r.Over {
			return r
		}
		if b.breaks(s, me, BrokenGaveUp) {
			return Outcome{}
		}
	}
}

// Break breaks the barrier, if it is not broken: all who wait are let go, and who comes is not held up.
func (b *Barrier) Break(by uint32, why int) {
	for {
		s := b.state.Load()
		if outcomeOf(s, s>>barrierGen&genMask).broken() || b.breaks(s, by, why) {
			return
		}
	}
}

func (b *Barrier) breaks(s uint64, by uint32, why int) bool {
	const kept = ^uint64(1<<barrierGen - 1)
	if !b.state.CompareAndSwap(s, s&kept|uint64(why)<<barrierWhy|uint64(by&pidMask)) {
		return false
	}
	b.changed.open(everybody)
	return true
}

// Reset begins a new generation, if the barrier is broken or anybody waits, who is let go as by a break.
func (b *Barrier) Reset() {
	for {
		s := b.state.Load()
		if s&(1<<barrierGen-1) == 0 {
			return
		}
		if b.state.CompareAndSwap(s, next(s, true)) {
			b.changed.open(everybody)
			return
		}
	}
}

// Now returns how many wait, and whether and why the barrier is broken.
func (b *Barrier) Now() (waiting int, r Outcome) {
	s := b.state.Load()
	if r := outcomeOf(s, s>>barrierGen&genMask); r.broken() {
		return 0, r
	}
	return int(s & MostParties), Outcome{}
}

// Sweep breaks the barrier if an owner that is no more was a member.
func (b *Barrier) Sweep(dead uint32) {
	if b.Member(dead) {
		b.Break(dead, BrokenDied)
		b.members.clear(dead) // now: who dies in between is swept again
	}
	b.changed.poke()
}
