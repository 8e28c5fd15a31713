package manager

import "sync/atomic"

// latch says, once, that something is over. Until somebody waits for that it is a word.
type latch struct{ ch atomic.Pointer[chan struct{}] }

// isOver is the channel of those that were over before anybody waited.
var isOver = func() *chan struct{} {
	c := make(chan struct{})
	close(c)
	return &c
}()

// happen is called once. What was written before it is there for whoever finds it over.
func (l *latch) happen() {
	if !l.ch.CompareAndSwap(nil, isOver) {
		close(*l.ch.Load())
	}
}

// happened reports whether it is over.
func (l *latch) happened() bool {
	c := l.ch.Load()
	if c == nil || c == isOver {
		return c != nil
	}
	select {
	case <-*c:
		return true
	default:
		return false
	}
}

// done returns a channel that is closed once it is over.
func (l *latch) done() <-chan struct{} {
	if c := l.ch.Load(); c != nil {
		return *c
	}
	c := make(chan struct{})
	if l.ch.CompareAndSwap(nil, &c) {
		return c
	}
	return *l.ch.Load()
}
