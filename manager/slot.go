package manager

import (
	"context"
	"sync/atomic"
)

// slot is a mutex whose Lock a context ends. As long as nobody waits it is a word.
type slot struct {
	state atomic.Int32
	freed chan struct{} // a token: who waits is to look again
}

const (
	slotFree = iota
	slotTaken
	slotWanted // taken, and some may wait
)

func newSlot() slot { return slot{freed: make(chan struct{}, 1)} }

// TryLock takes the slot, unless it is taken.
func (s *slot) TryLock() bool { return s.state.CompareAndSwap(slotFree, slotTaken) }

// Lock takes the slot; if ctx ends before, it returns the cause.
func (s *slot) Lock(ctx context.Context) error {
	if s.TryLock() {
		return nil
	}
	for s.state.Swap(slotWanted) != slotFree {
		select {
		case <-s.freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Unlock gives the slot back.
func (s *slot) Unlock() {
	if s.state.Swap(slotFree) == slotWanted {
		select {
		case s.freed <- struct{}{}:
		default:
		}
	}
}
