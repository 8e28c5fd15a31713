package ring

import (
	"context"
	"sync/atomic"
)

// CondSize is how many bytes a Cond takes: a cache line.
const CondSize = line

// Cond is a condition variable that processes share. Its users have a lock, as those of
// sync.Cond do: Prepare is called with the lock held, Wait once it has been given up.
//
//	offset  word
//	0       state: group | left << 13 | signals << 26 | next << 39, the group above them
//	8       a gate: somebody is to go on
//
// Who waits is of a group. Signals are for one group at a time: left is how many of it have
// no signal yet, signals how many of its signals nobody has taken. Who prepares is of the
// next group, of which there are next. A signal that finds nobody left makes the next
// group the one that signals are for: those that are of the group before then all have been
// signalled, and go on without taking anything. A broadcast skips both groups. So
// who goes on for a signal was prepared before it, and nobody takes it in his place.
//
// Each step is one compare-and-swap of state. A process that dies may be counted in it still, or
// have a signal that another could have used. Sweep wakes everybody, and counts anew.
//
// Somebody who is stopped while others go through 1<<25 groups, and wakes up just when his number has come again, takes
// himself for one of these; the next group ends it.
type Cond struct {
	state *atomic.Uint64
	gate  gate
}

// Ticket says which group of a Cond somebody is of, or that he need not wait.
type Ticket uint32

const (
	condBits  = 13
	condMost  = 1<<condBits - 1 // how many there can be in a group
	condGroup = 1<<(64-3*condBits) - 1
	goOn      = Ticket(1 << 31)
)

// condState is state in parts.
type condState struct{ left, signals, next, group uint64 }

func splitCond(w uint64) condState {
	return condState{w & condMost, w >> condBits & condMost, w >> (2 * condBits) & condMost, w >> (3 * condBits)}
}

func (s condState) join() uint64 {
	return s.left | s.signals<<condBits | s.next<<(2*condBits) | s.group<<(3*condBits)
}

// of says whether somebody is of this group, of the next, or of none that waits still.
func (s condState) of(t Ticket) (this, next bool) {
	return uint64(t) == s.group, uint64(t) == (s.group+1)&condGroup
}

// skip makes it the state after all have been woken.
func (s condState) skip() condState { return condState{group: s.group + 2} }

// NewCond makes a Cond of the first CondSize bytes of mem, which begin at a multiple of 8. New memory
// is all zero: nobody waits.
func NewCond(mem []byte, waits Waits) *Cond {
	return &Cond{state: word64(mem[:CondSize], 0), gate: gate{word32(mem[:CondSize], 8), waits}}
}

// change replaces state by what step makes of it, and reports whether step changed anything.
func (c *Cond) change(step func(s *condState)) bool {
	for {
		w := c.state.Load()
		s := splitCond(w)
		step(&s)
		if s.join() == w {
			return false
		}
		if c.state.CompareAndSwap(w, s.join()) {
			return true
		}
	}
}

// Prepare says that the caller is about to wait: signals that come from now on may be for
// him. Each ticket is for one call of Wait or Cancel. If 8191 are prepared already
// the Wait returns at once.
func (c *Cond) Prepare() Ticket {
	var t Ticket
	if !c.change(func(s *condState) {
		t = Ticket((s.group + 1) & condGroup)
		s.next = min(s.next+1, condMost)
	}) {
		return goOn
	}
	return t
}

// Wait waits until a Signal or Broadcast since Prepare says so, or ctx ends, which
// gives its cause. Whoever gets an error has taken no signal. It may return for no reason only after a death, see Sweep.
// (Edge cond-signalled: the Signal or Broadcast happens before the Wait that it ends.)
func (c *Cond) Wait(ctx context.Context, t Ticket) error {
	_, err := c.gate.wait(ctx, func() bool { return c.take(t) })
	if err != nil && c.Cancel(t) {
		return nil
	}
	return err
}

// take takes a signal, or sees that none is needed.
func (c *Cond) take(t Ticket) (ok bool) {
	c.change(func(s *condState) {
		this, next := s.of(t)
		ok = !this && !next
		if this && s.signals > 0 {
			s.signals--
			ok = true
		}
	})
	return ok
}

// Cancel gives a ticket back, and reports whether it has been signalled: who does not act on
// that calls Signal.
func (c *Cond) Cancel(t Ticket) (signalled bool) {
	c.change(func(s *condState) {
		this, next := s.of(t)
		signalled = false
		switch {
		case next:
			s.next = max(s.next, 1) - 1
		case this && s.left > 0: // the signals are for the others
			s.left--
		case this && s.signals > 0:
			s.signals--
			signalled = true
		case !this:
			signalled = true
		}
	})
	return signalled
}

// Signal has one go on of those that are prepared and not signalled, if there is one.
func (c *Cond) Signal() {
	if c.change(func(s *condState) {
		switch {
		case s.left > 0:
			s.left--
			s.signals = min(s.signals+1, condMost)
		case s.next > 0:
			*s = condState{left: s.next - 1, signals: 1, group: s.group + 1}
		}
	}) {
		c.gate.open(everybody) // it is for one of a group, and all sleep at one gate
	}
}

// Broadcast has all go on that are prepared.
func (c *Cond) Broadcast() {
	if c.change(func(s *condState) {
		if s.left > 0 || s.next > 0 {
			*s = s.skip()
		}
	}) {
		c.gate.open(everybody)
	}
}

// Waiting returns how many are prepared and not signalled.
func (c *Cond) Waiting() int {
	s := splitCond(c.state.Load())
	return int(s.left + s.next)
}

// Sweep says that somebody is no more. It has everybody go on who is prepared: the dead one may
// have been signalled, or be counted, or not have woken whom it signalled. Any process may call it.
func (c *Cond) Sweep() {
	c.change(func(s *condState) {
		if s.left > 0 || s.signals > 0 || s.next > 0 {
			*s = s.skip()
		}
	})
	c.gate.poke()
}
