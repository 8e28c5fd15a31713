package ring

import (
	"context"
	"sync/atomic"
)

// EventSize is how many bytes an Event takes.
const EventSize = line

// Event is a flag that processes wait for.
//
//	offset  word
//	0       how often it was set << 1 | it is set
//	4       a gate: it is set
//
// The count is there so that who waits sees that it was set though it is cleared again.
type Event struct {
	word *atomic.Uint32
	set  gate
}

// NewEvent makes an event of the first EventSize bytes of mem, which begin at a multiple of 8. New
// memory is all zero: it is not set.
func NewEvent(mem []byte, waits Waits) *Event {
	return &Event{word32(mem[:EventSize], 0), gate{word32(mem, 4), waits}}
}

// Set sets it and wakes all who wait. (Edge event-set: it happens before the Wait that sees it.)
func (e *Event) Set() {
	for {
		w := e.word.Load()
		if e.word.CompareAndSwap(w, w+2|1) { // also if it is set: for the edge, and who set it may not have woken anybody
			break
		}
	}
	e.set.open(everybody)
}

// Clear takes Set back.
func (e *Event) Clear() { e.word.And(^uint32(1)) }

// IsSet reports whether it is set.
func (e *Event) IsSet() bool { return e.word.Load()&1 != 0 }

// Ticket is what Wait needs: it waits for what happens after its making.
func (e *Event) Ticket() uint32 { return e.word.Load() }

// WasSet reports whether it is set, or has been since the ticket was made.
func (e *Event) WasSet(ticket uint32) bool {
	w := e.word.Load()
	return w&1 != 0 || w>>1 != ticket>>1
}

// Wait waits for WasSet, or the end of ctx, which gives its cause.
func (e *Event) Wait(ctx context.Context, ticket uint32) error {
	_, err := e.set.wait(ctx, func() bool { return e.WasSet(ticket) })
	return err
}

// Sweep wakes all who wait: who is no more may have owed them that.
func (e *Event) Sweep() { e.set.poke() }
