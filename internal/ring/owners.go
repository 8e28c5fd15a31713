package ring

import (
	"iter"
	"sync/atomic"
	"time"
)

// An owner is a task, or a process, that holds locks. It goes by a number below 1<<30
// that is not 0: in its lowest bits a slot, which is its own while it lives, and
// above them which of the slot's owners it is.
const (
	slotBits = 11
	// Owners is how many owners there can be at a time.
	Owners = 1 << slotBits
)

// OwnerSlot returns the slot in an owner's number.
func OwnerSlot(owner uint32) int { return int(owner & (Owners - 1)) }

// OwnerNumber makes an owner's number of its slot and of how many had the slot before: life
// goes from 1, and is taken modulo what there is room for.
func OwnerNumber(slot int, life uint32) uint32 {
	const lives = pidMask >> slotBits
	return (life%lives+1)<<slotBits | uint32(slot)
}

// tally is a count for each owner, so that what a dead one had can be taken back.
//
//	offset  word
//	0       most: one more than the highest slot that ever counted
//	64      one for each owner: number << 32 | count
//
// A count changes by compare-and-swap, for goroutines of one owner may count at the same
// time, and a sweep beside them. A word that names another owner of the slot counts for
// nothing: that one is gone. The slots that are used first each have a cache line.
type tally struct {
	most  *atomic.Uint32
	words []atomic.Uint64
	gone  func(owner uint32) // told of one that had not been swept here and whose count another's has replaced; nil: nobody is
}

// tallySize is how many bytes a tally takes.
const tallySize = line + 8*Owners

func newTally(mem []byte) tally {
	return tally{most: word32(mem, 0), words: words(mem[line:tallySize])}
}

func (t tally) at(slot int) *atomic.Uint64 {
	const perLine, lines = line / 8, Owners / (line / 8)
	return &t.words[slot%lines*perLine+slot/lines]
}

// add changes an owner's count by n and returns it; it stays what it is, and ok is false,
// if it would be less than 0.
func (t tally) add(owner uint32, n int) (count int, ok bool) {
	w := t.at(OwnerSlot(owner))
	for {
		old := w.Load()
		if uint32(old>>32) == owner {
			count = int(uint32(old))
		} else {
			count = 0
			t.reach(OwnerSlot(owner))
		}
		if count+n < 0 || count+n > 1<<31-1 {
			return count, false
		}
		if w.CompareAndSwap(old, uint64(owner)<<32|uint64(count+n)) {
			if was := uint32(old >> 32); was != owner && uint32(old) != 0 && t.gone != nil {
				t.gone(was)
			}
			return count + n, true
		}
	}
}

// reach has all look at a slot.
func (t tally) reach(slot int) {
	for {
		most := t.most.Load()
		if int(most) > slot || t.most.CompareAndSwap(most, uint32(slot+1)) {
			return
		}
	}
}

// of returns an owner's count.
func (t tally) of(owner uint32) int {
	if v := t.at(OwnerSlot(owner)).Load(); uint32(v>>32) == owner {
		return int(uint32(v))
	}
	return 0
}

// all yields the owners whose count is not 0, as they are when it comes to them.
func (t tally) all() iter.Seq2[uint32, int] {
	return func(yield func(uint32, int) bool) {
		for slot := range min(int(t.most.Load()), Owners) {
			if v := t.at(slot).Load(); uint32(v) != 0 && !yield(uint32(v>>32), int(uint32(v))) {
				return
			}
		}
	}
}

// any reports whether anybody's count is not 0.
func (t tally) any() bool {
	for range t.all() {
		return true
	}
	return false
}

// clear takes away what an owner counted.
func (t tally) clear(owner uint32) {
	w := t.at(OwnerSlot(owner))
	for old := w.Load(); uint32(old>>32) == owner && uint32(old) != 0; old = w.Load() {
		if w.CompareAndSwap(old, uint64(owner)<<32) {
			return
		}
	}
}

// looker returns what looks, when it is called and patience is over, for owners that count and are no more, and has
// each swept. It does nothing without alive.
func (t tally) looker(alive func(owner uint32) bool, patience time.Duration, sweep func(dead uint32)) (look func()) {
	seen := time.Now()
	return func() {
		if alive == nil || time.Since(seen) < patience {
			return
		}
		for owner := range t.all() {
			if !alive(owner) {
				sweep(owner)
			}
		}
		seen = time.Now()
	}
}

// since is a word that says when it was first seen that somebody has something, in ms since 1970,
// which take 41 bits, and, in the lowest bits, who. It is written by who waits for it: who has it takes no clock.
type since struct{ word *atomic.Uint64 }

const tenureBits = 22

func tenure(owner uint32) uint64 { return uint64(owner) & (1<<tenureBits - 1) }

// sinceOf reads such a word for an owner: the zero time if it says nothing of that one.
func sinceOf(word uint64, owner uint32) time.Time {
	if owner == 0 || word == 0 || word&(1<<tenureBits-1) != tenure(owner) {
		return time.Time{}
	}
	return time.UnixMilli(int64(word >> tenureBits))
}

// of returns since when an owner has it at least, the zero time if that is not known.
func (s since) of(owner uint32) time.Time { return sinceOf(s.word.Load(), owner) }

// mark notes that an owner has it.
func (s since) mark(owner uint32, has func() bool) {
	old := s.word.Load()
	if !sinceOf(old, owner).IsZero() {
		return
	}
	now := uint64(time.Now().UnixMilli())<<tenureBits | tenure(owner)
	if s.word.CompareAndSwap(old, now) && !has() {
		s.word.CompareAndSwap(now, 0) // it had gone before: the next tenure may be its own
	}
}

// forget says that an owner has it no more.
func (s since) forget(owner uint32) {
	if w := s.word.Load(); w != 0 && w&(1<<tenureBits-1) == tenure(owner) {
		s.word.CompareAndSwap(w, 0)
	}
}
