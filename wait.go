package xme

import (
	"context"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/proc"
)

// event is something that happens once, and that any number of goroutines may wait
// for. The zero value has not happened. What was written before happen can be read
// by whoever has seen it.
type event struct {
	c    atomic.Pointer[chan struct{}] // nil until somebody asks; happened in the end
	rest proc.Rest
}

// happened is what every event that has happened holds.
var happened = func() *chan struct{} {
	c := make(chan struct{})
	close(c)
	return &c
}()

// happen is called once; on is what is waited on.
func (e *event) happen(on Executor) {
	if c := e.c.Swap(happened); c != nil {
		close(*c) // a second call panics here
	}
	if p, ok := on.(*Pool); ok {
		p.p.Wake(&e.rest)
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

// Ready, Woken and Rest implement proc.Waiter.
func (e *event) Ready() bool            { return e.has() }
func (e *event) Woken() <-chan struct{} { return e.done() }
func (e *event) Rest() *proc.Rest       { return &e.rest }

// wait returns true once e, which an executor's row of that function makes happen, has,
// and false if ctx ends first. led says that the pool's Lead returned true.
func (e *event) wait(ctx context.Context, on Executor, fn uint16, led bool) bool {
	p, ok := on.(*Pool)
	for led || !e.has() {
		switch {
		case ok:
			p.p.Await(ctx, e, fn, led)
			led = false
		default:
			select {
			case <-e.done():
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return e.has()
		}
	}
	return true
}

// waiter is where one goroutine waits until another has news for it. News that
// nobody waits for are kept, as one.
type waiter chan struct{}

func newWaiter() waiter { return make(chan struct{}, 1) }

// wake never blocks.
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
