package xme

import "sync/atomic"

// event is something that happens once, and that any number of goroutines may wait
// for. The zero value has not happened. What was written before happen can be read
// by whoever has seen it.
type event struct {
	c atomic.Pointer[chan struct{}] // nil until somebody asks; happened in the end
}

// happened is what every event that has happened holds.
var happened = func() *chan struct{} {
	c := make(chan struct{})
	close(c)
	return &c
}()

// happen is called once.
func (e *event) happen() {
	if c := e.c.Swap(happened); c != nil {
		close(*c) // a second call panics here
	}
}

func (e *event) has() bool { return e.c.Load() == happened }

// done returns a channel that is closed once e has happened.
func (e *event) done() <-chan struct{} {
	if c := e.c.Load(); c != nil {
		return *c
	}
	c := make(chan struct{})
	if e.c.CompareAndSwap(nil, &c) {
		return c
	}
	return *e.c.Load()
}

// wait returns true once e has happened, false if end is closed first.
func (e *event) wait(end <-chan struct{}) bool {
	if e.has() {
		return true
	}
	select {
	case <-e.done():
		return true
	case <-end:
		return false
	}
}

// waiter is where one goroutine waits until another has news for it. News that
// nobody waits for are kept, as one.
type waiter chan struct{}

func newWaiter() waiter { return make(chan struct{}, 1) }

func (w waiter) wake() {
	select {
	case w <- struct{}{}:
	default:
	}
}

// wait returns at the next wake, or one since the last wait, or when an end is
// closed.
func (w waiter) wait(end, orEnd <-chan struct{}) {
	select {
	case <-w:
	case <-end:
	case <-orEnd:
	}
}
