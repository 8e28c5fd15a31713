package xme

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/region"
)

// Finish ends the call, either with the body that [Serve] or [Call.Run] returned or with
// an error. The body may be reused once Finish has returned. A second Finish is a mistake
// of the executor's and panics.
func (c *Call) Finish(body []byte, err error) {
	p := c.result
	c.result = nil
	c.finish(link.Outcome{Body: body, Parcel: p, Err: err})
}

// rowOwner is a Call as its pool knows it.
type rowOwner Call

// End implements link.Owner: a call that shall be tried again stays accepted.
func (r *rowOwner) End(o link.Outcome, again bool) bool {
	c := (*Call)(r)
	e := c.errorOf(o)
	if again && (o.Cancelled == nil || o.Cancelled == proc.ErrTimeout) && c.wantsAgain(e) { //nolint:errorlint // the engine's own: what wraps it may be a user's
		o.Parcel.Close()
		c.attempt++
		c.note(e)
		c.failed()
		return true
	}
	c.row.Body, c.row.Segment, c.row.Parcel = nil, nil, nil
	c.row.Regions, c.row.Charged = region.Set{}, false // the pool gives them back
	if c.place.stream == nil {
		c.begin()
	} else if e != nil && !as(o.Err, new(*proc.RowError)) || c.row.Astray {
		c.place.spoilt = true
	}
	if o.Shared && !c.steady() {
		o.Body = slices.Clone(o.Body) // its worker could change it while it is decoded
	}
	if e == nil && c.foreign() {
		// Not on the goroutine that reads the worker's frames: it may take its time,
		// or never return.
		o.Body = slices.Clone(o.Body)
		var held region.Set
		if o.Regions != nil {
			held = o.Regions.Clone()
			o.Regions = nil
		}
		c.apart(func() {
			defer held.Release()
			c.settle(o, nil)
		})
		return false
	}
	c.settle(o, e)
	return false
}

// EndAtOnce implements link.QuickOwner, for calls whose results are decoded by no code
// of the user's.
func (r *rowOwner) EndAtOnce(body []byte) {
	c := (*Call)(r)
	c.row.Body = nil
	if c.place.stream == nil {
		c.begin()
	} else if c.row.Astray {
		c.place.spoilt = true
	}
	c.settled(body, nil, nil)
}

// apart runs f on a goroutine that the pool's end waits for, for a while.
func (c *Call) apart(f func()) {
	if p, ok := c.on.(*Pool); ok {
		p.decoding.Go(f)
		return
	}
	go f()
}

// begin marks the call's end, which comes once.
func (c *Call) begin() {
	if !c.ended.CompareAndSwap(false, true) {
		panic("xme: Finish called twice on a call of " + c.fn.name)
	}
	if c.watch != nil {
		c.watch.remove(c)
	}
}

func (c *Call) settle(o link.Outcome, e *Error) {
	defer o.Parcel.Close() // also if a decoder of the user's ends the goroutine
	c.settled(o.Body, o.Parcel, e)
}

// wantsAgain reports whether a call that failed with e is to be tried once more.
func (c *Call) wantsAgain(e *Error) bool {
	return e != nil && !c.final && c.attempt < c.opts.Retries && e.retryable() && (!c.fn.guards || e.Cause == CauseLost) && c.ctx.Err() == nil && (c.fn.guards || !interrupted(c.ctx))
}

// finish ends a call that no pool runs.
func (c *Call) finish(o link.Outcome) {
	c.begin()
	c.row.Drop() // of a row that no pool took over
	e := c.errorOf(o)
	if c.wantsAgain(e) {
		o.Parcel.Close()
		c.note(e)
		c.failed()
		go c.again()
		return
	}
	c.settle(o, e)
}

// again submits a failed call once more.
func (c *Call) again() {
	c = c.twin()
	submitted := false
	defer func() {
		if submitted || c.ended.Load() { // after its end a panic is the executor's mistake, and nobody's row
			return
		}
		c.final = true
		if r := recover(); r != nil { // on the first attempt it comes to who made the call
			c.Finish(nil, fmt.Errorf("the executor (a %T) panicked in Submit: %v", c.on, r))
			return
		}
		c.Finish(nil, errors.New("what submitted it again called runtime.Goexit")) // nothing can stop that
	}()
	_ = submit(c.ctx, c.on, c)
	submitted = true
}

// submit offers a call until it is accepted; if it cannot be it is finished with the
// error.
func submit(ctx context.Context, on Executor, c *Call) error {
	for {
		var n int
		var err error
		if p, ok := on.(*Pool); ok {
			n, err = p.submitOne(ctx, c)
		} else {
			n, err = on.Submit(ctx, []*Call{c})
		}
		if n < 0 || n > 1 {
			panic(fmt.Sprintf("xme: a %T accepted %d of 1 calls", on, n))
		}
		if n == 1 {
			return err
		}
		if err == nil {
			err = context.Cause(ctx) // nil: it may be offered again
		}
		if err != nil {
			c.final = c.attempt > 0
			c.Finish(nil, err)
			return err
		}
	}
}
