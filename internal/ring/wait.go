package ring

import "sync/atomic"

// Waiting without missing a wake-up is the same on every one of the three words:
//
//	who waits                     who wakes
//	1. sets the word              1. publishes
//	2. looks for what it wants    2. takes the word
//	3. sleeps on its bell         3. rings the bell if the word was set
//
// All four accesses are sequentially consistent, so at least one of the two sees what
// the other wrote (Dekker). The bell remembers a ring that comes before the sleep.

// Sleeper is what a worker tells its driver: that it sleeps for want of rows.
type Sleeper struct{ word *atomic.Uint64 }

// Sleeper makes either side's end.
func (l *Lane) Sleeper() Sleeper { return Sleeper{l.sleeps} }

// Wanter is what a worker tells its driver: that it waits for room for a result.
func (l *Lane) Wanter() Sleeper { return Sleeper{l.room} }

// Set says that the caller is about to sleep; look again before it does.
func (s Sleeper) Set() { s.word.Store(1) }

// Clear takes it back.
func (s Sleeper) Clear() { s.word.Store(0) }

// Take reports whether the other side sleeps and is to be rung, once.
func (s Sleeper) Take() bool { return s.word.Load() != 0 && s.word.Swap(0) != 0 }

// Watch is what a driver tells a worker: which bell to ring, and when.
type Watch struct{ word *atomic.Uint64 }

// Watch makes either side's end.
func (l *Lane) Watch() Watch { return Watch{l.watch} }

// The bells that a driver may sleep on.
const (
	Nobody = iota // the driver looks by itself
	First
	Second
)

// Arm asks for a ring of the bell once the worker has ended rows up to and including
// the one that was the at-th put in the lane, or has no more to run. Look for results
// before sleeping.
func (w Watch) Arm(bell uint8, at uint32) { w.word.Store(uint64(bell)<<32 | uint64(at)) }

// Disarm says that the driver looks by itself.
func (w Watch) Disarm() { w.word.Store(Nobody) }

// Armed reports whether the worker was asked and has not rung.
func (w Watch) Armed() bool { return w.word.Load() != Nobody }

// Watched returns what changes with each Arm.
func (w *ResultWriter) Watched() uint64 { return w.watch.Load() }

// Due tells which bell to ring now, at most one time for each Arm. It is called after
// each Put; idle says that there is no row to claim, or that the driver shall look in any
// case. It is also due once half of the ring is unread: who waits for room runs nothing.
func (w *ResultWriter) Due(idle bool) (bell uint8) {
	word := w.watch.Load()
	if word == Nobody {
		return Nobody
	}
	if !idle && int32(uint32(word)-w.count) > 0 && !w.crowded() {
		return Nobody
	}
	return uint8(w.watch.Swap(Nobody) >> 32)
}

// crowded reports whether half of the ring, or more, is unread.
func (w *ResultWriter) crowded() bool {
	half := uint64(len(w.area)) / 2
	if w.pos-w.room < half {
		return false
	}
	w.room = w.head.Load() // edge result-read
	return w.pos-w.room >= half
}

// Number returns the number that Arm takes of the row put last.
func (w *RowWriter) Number() uint32 { return w.put }

// Pace is how a worker looks for rows before it sleeps.
type Pace struct {
	Spin  uint32 // ns
	Yield bool   // give the CPU away while looking
}

// SetPace tells a worker how to look for rows.
func (l *Lane) SetPace(p Pace) {
	w := uint64(p.Spin)
	if p.Yield {
		w |= 1 << 32
	}
	l.pace.Store(w)
}

// Pace returns what the driver said last.
func (l *Lane) Pace() Pace {
	w := l.pace.Load()
	return Pace{Spin: uint32(w), Yield: w>>32&1 != 0}
}
