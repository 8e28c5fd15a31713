package latch

import "context"

// Turn is a lock among the goroutines of one process, which goes to those who wait in the order in which they came. Who waits for it stops when its context ends.
type Turn chan struct{}

// NewTurn makes one that is nobody's.
func NewTurn() Turn { return make(Turn, 1) }

// Take takes the turn; if ctx ends before, it returns the cause.
func (t Turn) Take(ctx context.Context) error {
	if t.Try() {
		return nil
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Try takes the turn, unless somebody has it.
func (t Turn) Try() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

// Give gives it back.
func (t Turn) Give() { <-t }
