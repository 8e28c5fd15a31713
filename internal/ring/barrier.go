package ring

import (
	"context"
	"sync/atomic"
	"time"
)

// BarrierSize is how many bytes a Barrier takes.
const BarrierSize = line + 8*barrierPast + tallySize

// Barrier holds owners up until so many have arrived; then it opens for these, and the next generation
// begins. It breaks if one of them gives up or dies, and stays broken until it is reset.
//
//	offset  word
//	0       state: one word, so that each step is one compare-and-swap
//	          bits 0-29   how many have arrived; if it is broken, by whom
//	          bits 30-32  why it is broken, 0: it is not
//	          bits 33-63  the generation
//	8       parties: how many it waits for
//	16      a gate: state is another
//	64      past, 64 words: how the last generation that broke was broken, at its number modulo 64, as in state
//	576     members: who has handles on it, a tally
//
// Who waited in a generation and looks only when that is over finds it in past if it broke; otherwise it
// opened. Reset writes it there before it changes state: what is broken can end by a reset only. (One
// that looks when a generation 64 later, or a multiple of that, has broken as well takes it that its own opened.)
type Barrier struct {
	state, parties *atomic.Uint64
	changed        gate
	past           []atomic.Uint64
	members        tally
	patience       time.Duration

	// Alive, which may be nil, says whether there is an owner of that number. Who waits asks for
	// all members once a second, and sweeps those that are no more. Set it before use.
	Alive func(owner uint32) bool
}

// Why a barrier is broken.
const (
	BrokenGaveUp  = 1 + iota // one gave up waiting
	BrokenDied               // a member is no more
	BrokenAborted            // by Break
	BrokenReset              // it was reset while somebody waited, who is told that
)

const (
	barrierWhy  = 30
	barrierGen  = 33
	barrierPast = 64
)

// MostParties is how many a barrier can wait for.
const MostParties = 1<<barrierWhy - 1

// NewBarrier makes a barrier of the first BarrierSize bytes of mem, which begin at a multiple of 8. New
// memory is all zero; Init says how many it waits for.
func NewBarrier(mem []byte, waits Waits) *Barrier {
	b := &Barrier{
		patience: bound,
		state:    word64(mem, 0), parties: word64(mem, 8),
		changed: gate{word32(mem, 16), waits},
		past:    words(mem[line : line+8*barrierPast]),
		members: newTally(mem[line+8*barrierPast : BarrierSize]),
	}
	b.members.gone = func(dead uint32) { b.breakFor(dead, func() bool { return true }) }
	return b
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

// Arrive counts one arrival, and returns the generation and the number of the arrival in it, from 0. The one whose
// number is Parties-1 opens the barrier; the others go on to Await. If the barrier is broken nothing is counted. (Edge barrier-opened: all
// Arrives of a generation happen before the returns of their Awaits, and of the Arrive that opens it.)
func (b *Barrier) Arrive() (gen uint64, number int, r Outcome) {
	for {
		s := b.state.Load()
		if r := broken(s); r.Over {
			return 0, 0, r
		}
		gen, number = s>>barrierGen, int(s&MostParties)
		if number+1 < b.Parties() {
			if b.state.CompareAndSwap(s, s+1) {
				return gen, number, Outcome{}
			}
			continue
		}
		if b.state.CompareAndSwap(s, (gen+1)<<barrierGen) {
			b.changed.open(everybody)
			return gen, number, Outcome{Over: true}
		}
	}
}

// broken is how the barrier is broken, or that it is not, by its state.
func broken(s uint64) Outcome {
	if why := int(s >> barrierWhy & (1<<(barrierGen-barrierWhy) - 1)); why != 0 {
		return Outcome{Over: true, Why: why, By: uint32(s & MostParties)}
	}
	return Outcome{}
}

// Outcome returns how it is with who arrived in a generation.
func (b *Barrier) Outcome(gen uint64) Outcome { return b.outcome(b.state.Load(), gen) }

func (b *Barrier) outcome(s, gen uint64) Outcome {
	if s>>barrierGen == gen {
		return broken(s)
	}
	if was := b.past[gen%barrierPast].Load(); was>>barrierGen == gen && broken(was).Over {
		return broken(was)
	}
	return Outcome{Over: true}
}

// Await waits until a generation is over, or ctx ends, which gives its cause; then the caller calls GiveUp.
func (b *Barrier) Await(ctx context.Context, gen uint64) (r Outcome, err error) {
	look := b.members.looker(b.Alive, b.patience, func(dead uint32) { b.Sweep(dead) })
	_, err = b.changed.wait(ctx, func() bool {
		look()
		r = b.Outcome(gen)
		return r.Over
	})
	return r, err
}

// GiveUp breaks the barrier because one that has arrived waits no longer, if the generation is not over.
func (b *Barrier) GiveUp(me uint32, gen uint64) Outcome {
	for {
		s := b.state.Load()
		if r := b.outcome(s, gen); r.Over {
			return r
		}
		if b.breaks(s, me, BrokenGaveUp) {
			return Outcome{}
		}
	}
}

// Break breaks the barrier, if it is not broken: all who wait are let go, and who comes is not held up.
// It reports whether it did.
func (b *Barrier) Break(by uint32, why int) bool {
	for {
		s := b.state.Load()
		if broken(s).Over {
			return false
		}
		if b.breaks(s, by, why) {
			return true
		}
	}
}

// breaks has the barrier be broken if state is s.
func (b *Barrier) breaks(s uint64, by uint32, why int) bool {
	if !b.state.CompareAndSwap(s, s>>barrierGen<<barrierGen|uint64(why)<<barrierWhy|uint64(by&pidMask)) {
		return false
	}
	b.changed.open(everybody)
	return true
}

// Reset begins a new generation, if the barrier is broken or anybody waits, who is let go as by a break of me's.
func (b *Barrier) Reset(me uint32) {
	for {
		s := b.state.Load()
		switch {
		case broken(s).Over:
			b.record(s)
			if b.state.CompareAndSwap(s, (s>>barrierGen+1)<<barrierGen) {
				b.changed.open(everybody)
				return
			}
		case s&MostParties == 0:
			return
		default:
			b.breaks(s, me, BrokenReset)
		}
	}
}

// record writes how a generation was broken into past, unless a later one stands there.
func (b *Barrier) record(s uint64) {
	at := &b.past[s>>barrierGen%barrierPast]
	for was := at.Load(); int64(s-was) > 0 || was>>barrierGen == s>>barrierGen && was != s; was = at.Load() {
		if at.CompareAndSwap(was, s) {
			return
		}
	}
}

// Now returns how many wait, and whether and why the barrier is broken.
func (b *Barrier) Now() (waiting int, r Outcome) {
	s := b.state.Load()
	if r := broken(s); r.Over {
		return 0, r
	}
	return int(s & MostParties), Outcome{}
}

// Sweep breaks the barrier if an owner that is no more was a member, and says so in place of
// another reason, as it holds good after a reset too. It reports whether it did. Any process may call it.
func (b *Barrier) Sweep(dead uint32) (broke bool) {
	broke = b.breakFor(dead, func() bool { return b.Member(dead) })
	b.members.clear(dead) // now: who dies in between is swept again
	b.changed.poke()
	return broke
}

// breakFor breaks the barrier for one that is no more, as long as member says that it was one.
func (b *Barrier) breakFor(dead uint32, member func() bool) (broke bool) {
	for !broke {
		s := b.state.Load()
		if !member() || broken(s).Why == BrokenDied { // in this order: it may be swept and reset meanwhile
			break
		}
		broke = b.breaks(s, dead, BrokenDied)
	}
	return broke
}
