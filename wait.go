package xme

import (
	"context"

	"github.com/xenonmp/xme/internal/latch"
	"github.com/xenonmp/xme/internal/proc"
)

// event is a latch that who leads a pool may wait for too.
type event struct {
	latch.Latch
	rest proc.Rest
}

// happen is called once; on is what is waited on.
func (e *event) happen(on Executor) {
	e.Happen()
	if p, ok := on.(*Pool); ok {
		p.p.Wake(&e.rest)
	}
}

// Ready, Woken and Rest implement proc.Waiter.
func (e *event) Ready() bool            { return e.Has() }
func (e *event) Woken() <-chan struct{} { return e.Done() }
func (e *event) Rest() *proc.Rest       { return &e.rest }

// wait returns true once e, which an executor's row of that function makes happen, has,
// and false if ctx ends first. led says that the pool's Lead returned true.
func (e *event) wait(ctx context.Context, on Executor, fn uint16, led bool) bool {
	p, ok := on.(*Pool)
	for led || !e.Has() {
		switch {
		case ok:
			p.p.Await(ctx, e, fn, led)
			led = false
		default:
			select {
			case <-e.Done():
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return e.Has()
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
