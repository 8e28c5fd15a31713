package manager

import "context"

// slot is a mutex whose Lock a context ends. It goes to those who wait in the order in which they came, so that nobody starves.
type slot chan struct{}

func newSlot() slot { return make(slot, 1) }

// TryLock takes the slot, unless it is taken.
func (s slot) TryLock() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

// Lock takes the slot; if ctx ends before, it returns the cause.
func (s slot) Lock(ctx context.Context) error {
	if s.TryLock() {
		return nil
	}
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Unlock gives the slot back.
func (s slot) Unlock() { <-s }
