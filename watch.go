package xme

import (
	"context"

	"github.com/xenonmp/xme/internal/link"
)

// watch ends calls when their common context ends, or when no more rows shall begin
// under it.
type watch struct {
	p    *Pool
	done <-chan struct{} // see endOf
	stop func() bool
	calm func() bool // stop, for the drain
	head *Call
}

// endOf returns what is closed when ctx ends; of one that never does, when no more rows
// shall begin under it (context.WithoutCancel keeps that); nil: nothing is.
func endOf(ctx context.Context) <-chan struct{} {
	if done := ctx.Done(); done != nil {
		return done
	}
	return drainOf(ctx)
}

// watchCall has c end when its context does, which done stands for. Calls of one table or
// loop share a context, and so a watch.
func (p *Pool) watchCall(c *Call, done <-chan struct{}) {
	p.mu.Lock()
	w := p.watches[done]
	known := w != nil
	if !known {
		w = &watch{p: p, done: done, stop: nothing, calm: nothing}
		p.watches[done] = w
	}
	if p.empty == w {
		p.empty = nil
	}
	c.watch = w
	c.next, c.prev = w.head, nil
	if w.head != nil {
		w.head.prev = c
	}
	w.head = c
	p.mu.Unlock()
	if known {
		return
	}
	heard := false
	defer func() {
		if !heard { // a method of the context panicked, or ended the goroutine
			w.remove(c)
		}
	}()
	w.listen(c.ctx)
	heard = true
}

func nothing() bool { return true }

// listen has the watch hear of its context's end. The context may be of the user's
// making, and its methods do what they like: no lock is held. The call that the watch
// was made for keeps it from being forgotten meanwhile; an end that others hear of
// through it in that time is told them then.
func (w *watch) listen(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { w.fire(w.p.rows.Cancel, context.Cause(ctx)) })
	calm := onDrain(ctx, func() { w.fire(w.p.rows.CancelUnbegun, ErrInterrupted) })
	w.p.mu.Lock()
	w.stop, w.calm = stop, calm
	w.p.mu.Unlock()
}

func (w *watch) remove(c *Call) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if c.watch != w {
		return
	}
	c.watch = nil
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		w.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
	if w.head != nil {
		return
	}
	// One empty watch is kept, so that calls one after another under one context
	// do not make it anew each time.
	if old := w.p.empty; old != nil && old != w {
		old.forget()
	}
	w.p.empty = w
}

// forget drops an empty watch. p.mu is held.
func (w *watch) forget() {
	stop, calm := w.stop, w.calm
	go func() { // as in listen
		stop()
		calm()
	}()
	delete(w.p.watches, w.done)
}

// fire ends the calls of the watch.
func (w *watch) fire(end func(error, ...*link.Row), cause error) {
	var rows []*link.Row
	w.p.mu.Lock()
	for c := w.head; c != nil; c = c.next {
		rows = append(rows, &c.row)
	}
	w.p.mu.Unlock()
	end(cause, rows...)
}
