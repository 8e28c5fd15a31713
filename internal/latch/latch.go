// Package latch has goroutines wait for what happens once, and for their turn.
package latch

import "sync/atomic"

// Latch is something that happens once, and that any number of goroutines may wait for. The zero value has not happened. Until somebody waits it is a word. What was
// written before Happen can be read by whoever has seen it.
type Latch struct {
	c atomic.Pointer[chan struct{}] // nil until somebody asks; happened in the end
}

// happened is what every latch that has happened holds.
var happened = func() *chan struct{} {
	c := make(chan struct{})
	close(c)
	return &c
}()

// Happen is called once. It panics if it is called again.
func (l *Latch) Happen() {
	if c := l.c.Swap(happened); c != nil {
		close(*c)
	}
}

// Has reports whether it has happened.
func (l *Latch) Has() bool { return l.c.Load() == happened }

// Done returns a channel that is closed once it has happened.
func (l *Latch) Done() <-chan struct{} {
	if c := l.c.Load(); c != nil {
		return *c
	}
	c := make(chan struct{})
	if l.c.CompareAndSwap(nil, &c) {
		return c
	}
	return *l.c.Load()
}
