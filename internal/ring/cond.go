package ring

import (
	"context"
	"sync/atomic"
)

// CondSize is how many bytes a Cond takes.
const CondSize = line + tallySize

// Cond lets owners wait until another has changed what a lock guards. The lock is the caller's.
//
//	offset  word
//	0       signals: how many were given
//	8       used: how many of them have let somebody go
//	16      broadcasts
//	24      a gate: there is another of either
//	64      who waits: how many of each owner, a tally
//
// Who will wait takes a ticket while it has the lock: how many signals and broadcasts there were. A later
// broadcast lets it go, and so does a signal if there is a later one and one that is not used,
// which it then uses, by compare-and-swap. So each signal lets one go that had its ticket before, and none goes to
// who came later. A signal that nobody used, as who was to do so gave up, is used by the next, or void when nobody waits.
//
// Who dies may have used a signal and not acted on it: Sweep lets all go, who look at what they wait for and
// wait again.
type Cond struct {
	signals, used, broadcasts *atomic.Uint64
	gate                      gate
	waiters                   tally
}

// CondTicket is what was there when somebody began to wait.
type CondTicket struct{ signals, broadcasts uint64 }

// NewCond makes a condition of the first CondSize bytes of mem, which begin at a multiple of 8. New
// memory is all zero: nobody waits.
func NewCond(mem []byte, waits Waits) *Cond {
	return &Cond{
		signals: word64(mem, 0), used: word64(mem, 8), broadcasts: word64(mem, 16),
		gate:    gate{word32(mem, 24), waits},
		waiters: newTally(mem[line:CondSize]),
	}
}

// Prepare says that me will wait. The caller has the lock, gives it back, and calls Wait until that lets it go, or Leave.
func (c *Cond) Prepare(me uint32) CondTicket {
	if !c.waiters.any() {
		c.used.Store(c.signals.Load())
	}
	c.waiters.add(me, 1)
	return CondTicket{c.signals.Load(), c.broadcasts.Load()}
}

// Wait waits until the ticket is let go, or ctx ends, which gives its cause; then the caller calls
// Leave. (Edge cond-signalled: the Signal or Broadcast happens before the return of who it lets go.)
func (c *Cond) Wait(ctx context.Context, ticket CondTicket) error {
	_, err := c.gate.wait(ctx, func() bool { return c.ready(ticket) })
	return err
}

// ready reports whether there is something that lets the ticket go.
func (c *Cond) ready(t CondTicket) bool {
	signals := c.signals.Load()
	return c.broadcasts.Load() != t.broadcasts || signals > t.signals && c.used.Load() < signals
}

// Leave ends a wait, and reports whether it was let go. If it was not, it waits again or gives up.
func (c *Cond) Leave(me uint32, t CondTicket, giveUp bool) bool {
	for {
		if c.broadcasts.Load() != t.broadcasts {
			break
		}
		signals, used := c.signals.Load(), c.used.Load()
		if signals <= t.signals || used >= signals {
			if giveUp {
				c.waiters.add(me, -1)
			}
			return false
		}
		if c.used.CompareAndSwap(used, used+1) {
			break
		}
	}
	c.waiters.add(me, -1)
	return true
}

// Signal lets one go, if any waits.
func (c *Cond) Signal() {
	if c.waiters.any() {
		c.signals.Add(1)
		c.gate.open(everybody) // who is woken alone might have given up, or have come too late for it
	}
}

// Broadcast lets all go.
func (c *Cond) Broadcast() {
	if c.waiters.any() {
		c.broadcasts.Add(1)
		c.gate.open(everybody)
	}
}

// Waiting returns who waits.
func (c *Cond) Waiting() (all []uint32) {
	for owner := range c.waiters.all() {
		all = append(all, owner)
	}
	return all
}

// Sweep lets all go because an owner is no more.
func (c *Cond) Sweep(dead uint32) {
	c.waiters.clear(dead)
	c.broadcasts.Add(1)
	c.gate.poke()
}
