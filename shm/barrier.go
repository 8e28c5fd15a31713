package shm

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/ring"
)

// ErrBroken is wrapped by a [BarrierError].
var ErrBroken = xme.RegisterError("github.com/xenonmp/xme/shm.ErrBroken", errors.New("the barrier is broken"))

// Break says why a barrier broke.
type Break string

// The reasons for a barrier to break.
const (
	BreakGaveUp  Break = "gave up waiting" // because its ctx ended
	BreakDied    Break = "died"
	BreakAborted Break = "aborted it"
	BreakReset   Break = "reset it" // while others were waiting, who learn of it this way
)

// BarrierError says why a barrier is broken. It wraps ErrBroken.
type BarrierError struct {
	What  string // the barrier, for example: barrier "start"
	Owner Owner  // who broke it; zero if that is no longer known
	Why   Break
}

// Error says which barrier is broken, by whom and how.
func (e *BarrierError) Error() string {
	who := "somebody"
	if e.Owner != (Owner{}) {
		who = e.Owner.String()
	}
	return fmt.Sprintf("shm: %s is broken: %s %s", e.What, who, e.Why)
}

// Unwrap returns ErrBroken.
func (e *BarrierError) Unwrap() error { return ErrBroken }

// Barrier makes goroutines of any tasks and processes wait until a given number of them
// has arrived, again and again. It crosses as a [Mutex] does; all methods may be called
// concurrently.
//
// Everyone who has a handle is a participant. If a process that participates dies,
// waiting or not, or if a waiter gives up, the barrier breaks: all who wait, and all who
// arrive until Reset, get a [BarrierError] that names the one who broke it. Closing a
// handle, or returning from a task, without having arrived breaks nothing: the others go
// on waiting. A worker that retains a handle participates; the closing of its pool then
// counts as its death. If a group of tasks is started over after a break, call Reset
// first; if only one of them is retried, it finds the barrier broken.
type Barrier struct{ prim }

// MaxParties is the largest number of parties a barrier can wait for.
const MaxParties = ring.MostParties

// NewBarrier makes a barrier for the given number of parties, 1 to MaxParties.
func NewBarrier(parties int) (*Barrier, error) {
	if parties < 1 || parties > MaxParties {
		return nil, fmt.Errorf("shm: a barrier for %d parties: make it 1 to %d", parties, MaxParties)
	}
	b := &Barrier{}
	if err := b.open(kindBarrier, func(_ []byte, g guard) { g.(barrierGuard).Init(parties) }); err != nil {
		return nil, err
	}
	return b, nil
}

// barrierGuard is a barrier as others of this package see it.
type barrierGuard struct {
	nobody
	*ring.Barrier
}

func init() {
	guards[kindBarrier] = guardKind{"barrier", ring.BarrierSize, func(mem []byte) guard {
		return barrierGuard{nobody{}, ring.NewBarrier(mem, waits{})}
	}}
}

func (g barrierGuard) SetAlive(alive func(uint32) bool) { g.Alive = alive }

// Has implements guard: it is in sweep that one is told of, if that breaks it.
func (g barrierGuard) Has(uint32) (has, told bool) { return false, false }

func (g barrierGuard) Sweep(dead uint32) { g.Barrier.Sweep(dead) }

func (g barrierGuard) State() string {
	waiting, _ := g.Now()
	return fmt.Sprintf("%d of %d have come", waiting, g.Parties())
}

func (b *Barrier) barrier() *ring.Barrier { return b.l.guard.(barrierGuard).Barrier }

// Wait waits until as many callers have arrived as the barrier has parties. Then all
// return nil, each with a different number, counted from 0 in the order of arrival. If
// ctx ends, or this process closes the barrier, the barrier breaks and Wait returns a
// *WaitError or ErrClosed; the other waiters, and those who arrive at a broken barrier,
// get a *BarrierError.
func (b *Barrier) Wait(ctx context.Context) (number int, err error) {
	if err := b.enter(); err != nil {
		return 0, err
	}
	defer b.unuse()
	b.l.releases()
	gen, number, r := b.barrier().Arrive()
	if !r.Over {
		err = b.wait(ctx, func(ctx context.Context) (err error) {
			r, err = b.barrier().Await(ctx, gen)
			return err
		})
		if err != nil {
			if r = b.barrier().GiveUp(b.own.number, gen); !r.Over {
				b.wrote()
				return 0, err
			}
		}
	}
	b.l.acquired()
	if err := b.broken(r); err != nil {
		return 0, err
	}
	return number, nil
}

func (b *Barrier) broken(r ring.Outcome) error {
	if r.Why == 0 {
		return nil
	}
	e := &BarrierError{What: b.l.what()}
	switch r.Why {
	case ring.BrokenGaveUp:
		e.Why = BreakGaveUp
	case ring.BrokenDied:
		e.Why = BreakDied
	case ring.BrokenAborted:
		e.Why = BreakAborted
	default:
		e.Why = BreakReset
	}
	if r.By != 0 {
		e.Owner, _ = b.l.recorded(syncBy, r.By)
	}
	return e
}

// wrote keeps who broke it, which was this handle's owner.
func (b *Barrier) wrote() {
	b.l.mu.Lock()
	defer b.l.mu.Unlock()
	b.l.record(syncBy, b.own.number, false)
}

// Abort breaks the barrier unless it is already broken.
func (b *Barrier) Abort() error {
	return b.with(func() {
		if b.barrier().Break(b.own.number, ring.BrokenAborted) {
			b.wrote()
		}
	})
}

// Reset makes the barrier wait for its full number of parties again. Those who are
// waiting get a *BarrierError.
func (b *Barrier) Reset() error { return b.with(func() { b.barrier().Reset(b.own.number) }) }

func (b *Barrier) with(f func()) error {
	if err := b.enter(); err != nil {
		return err
	}
	defer b.unuse()
	f()
	return nil
}

// Broken returns a *BarrierError if the barrier is broken, and nil otherwise.
func (b *Barrier) Broken() error {
	if err := b.enter(); err != nil {
		return err
	}
	defer b.unuse()
	_, r := b.barrier().Now()
	return b.broken(r)
}

// Parties returns the barrier's number of parties, and how many of them are waiting; 0
// for both if it is closed.
func (b *Barrier) Parties() (parties, waiting int) {
	if b.enter() != nil {
		return 0, 0
	}
	defer b.unuse()
	waiting, _ = b.barrier().Now()
	return b.barrier().Parties(), waiting
}

// Retain returns the same barrier as a handle that the caller owns, as [Mutex.Retain]
// does. From then on the process participates, not just the task.
func (b *Barrier) Retain() (*Barrier, error) {
	r := &Barrier{}
	if err := b.retainPrim(&r.prim); err != nil {
		return nil, err
	}
	return r, nil
}
