package shm

import (
	"context"
	"time"

	"github.com/xenonmp/xme/internal/ring"
)

// Event is a flag that tasks and processes share and wait for. It crosses as a [Mutex]
// does; all methods may be called concurrently. It stays set until Clear, even if whoever
// set it is gone.
type Event struct{ prim }

// NewEvent makes an event that is not set.
func NewEvent() (*Event, error) {
	e := &Event{}
	if err := e.open(kindEvent, nil); err != nil {
		return nil, err
	}
	return e, nil
}

// eventGuard is an event as others of this package see it.
type eventGuard struct {
	nobody
	*ring.Event
}

// nobody keeps others out of what this is embedded in.
type nobody struct{}

func (nobody) SetAlive(func(uint32) bool) {}
func (nobody) Has(uint32) (bool, bool)    { return false, false }
func (nobody) Holders() []uint32          { return nil }
func (nobody) Since(uint32) time.Time     { return time.Time{} }

func init() {
	guards[kindEvent] = guardKind{"event", ring.EventSize, func(mem []byte) guard {
		return eventGuard{nobody{}, ring.NewEvent(mem, waits{})}
	}}
}

func (g eventGuard) Sweep(uint32) { g.Event.Sweep() }

func (e *Event) event() *ring.Event { return e.l.guard.(eventGuard).Event }

// Set sets the event and wakes all waiters.
func (e *Event) Set() error { return e.do((*ring.Event).Set) }

// Clear clears the event. Those who were waiting when it was set go on nevertheless.
func (e *Event) Clear() error { return e.do((*ring.Event).Clear) }

func (e *Event) do(f func(*ring.Event)) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.unuse()
	e.l.releases()
	f(e.event())
	return nil
}

// IsSet reports whether the event is set; it returns false if the event is closed.
func (e *Event) IsSet() bool {
	if e.enter() != nil {
		return false
	}
	defer e.unuse()
	if !e.event().IsSet() {
		return false
	}
	e.l.acquired()
	return true
}

// Wait waits until the event is set, ctx ends, or this process closes it. An error after
// a wait is a *WaitError. If the event is set, Wait returns nil whether or not ctx has
// ended.
func (e *Event) Wait(ctx context.Context) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.unuse()
	ticket := e.event().Ticket()
	if !e.event().WasSet(ticket) {
		err := e.wait(ctx, func(ctx context.Context) error { return e.event().Wait(ctx, ticket) })
		if err != nil && !e.event().WasSet(ticket) {
			return err
		}
	}
	e.l.acquired()
	return nil
}

// Retain returns the same event as a handle that the caller owns, as [Mutex.Retain] does.
func (e *Event) Retain() (*Event, error) {
	r := &Event{}
	if err := e.retainPrim(&r.prim); err != nil {
		return nil, err
	}
	return r, nil
}
