package xme

import (
	"context"
	"errors"

	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/wire"
)

// value is the typed half of a call.
type value interface {
	append(dst []byte, p *wire.Parcel) ([]byte, error)
	// twin makes the next attempt at the same call.
	twin() *Call
	// foreign reports whether decoding the result runs code that is not ours.
	foreign() bool
	// exact reports whether args is exact before they are encoded.
	exact() bool
	// plain reports whether the arguments hold nothing that travels in a parcel.
	plain() bool
	// steady reports whether decoding the result reads each byte once.
	steady() bool
	// charge corrects what the call's arguments were reckoned to weigh.
	charge(weight, files int)
	// again says that the call failed and is tried once more.
	again()
	// settle takes the end of the call, once.
	settle(body []byte, p *wire.Parcel, err *Error)
}

// sink takes the ends of calls.
type sink interface {
	// charge corrects what the arguments of a call were reckoned to weigh, once they
	// are encoded.
	charge(weight, files int)
	// again is called when a call has failed and is tried once more.
	again()
	// end is called once, with the call that the sink was given, of whose result the
	// encoding had that many bytes.
	end(c *Call, result int)
}

// call is a Call with its types.
type call[In, Out any] struct {
	Call
	f     *Func[In, Out]
	in    In
	out   Out
	to    sink
	first *call[In, Out] // the first attempt, which is the one that to knows
}

func newCall[In, Out any](ctx context.Context, on Executor, f *Func[In, Out], in In, to sink) *call[In, Out] {
	c := &call[In, Out]{}
	c.init(ctx, on, f, in, to)
	return c
}

// init makes c, which is zero, a call.
func (c *call[In, Out]) init(ctx context.Context, on Executor, f *Func[In, Out], in In, to sink) {
	if f.fn.guards {
		in = any(in).(proc.Guard).Named().(In)
	}
	c.f, c.in, c.to, c.first = f, in, to, c
	c.fn, c.opts, c.ctx, c.on, c.index = f.fn, &f.opts, ctx, on, -1
	c.value = c
	c.args = metaSize + wire.Size(f.in, &c.in)
}

func (c *call[In, Out]) twin() *Call {
	t := newCall(c.ctx, c.on, c.f, c.in, c.to)
	t.first = c.first
	t.index, t.seed, t.seeded, t.attempt = c.index, c.seed, c.seeded, c.attempt+1
	t.args, t.files, t.earlier = c.args, c.files, c.earlier
	return &t.Call
}

func (c *call[In, Out]) append(dst []byte, p *wire.Parcel) ([]byte, error) {
	return wire.Append(c.f.in, dst, &c.in, p)
}

func (c *call[In, Out]) foreign() bool            { return c.f.out.Plan.Foreign() }
func (c *call[In, Out]) steady() bool             { return c.f.out.Plan.Exact() }
func (c *call[In, Out]) exact() bool              { return c.f.in.Plan.Exact() }
func (c *call[In, Out]) plain() bool              { return c.f.in.Plan.PointerFree() }
func (c *call[In, Out]) charge(weight, files int) { c.to.charge(weight, files) }
func (c *call[In, Out]) again()                   { c.to.again() }

func (c *call[In, Out]) settle(body []byte, p *wire.Parcel, e *Error) {
	if e == nil && c.f.out.Plan.Foreign() {
		c.settleForeign(body, p)
		return
	}
	if e == nil {
		if p == nil && c.f.out.Plan.Handles() {
			p = &wire.Parcel{}
		}
		if err := wire.Decode(c.f.out, body, &c.first.out, p); err != nil {
			e = c.resultError(err)
		}
	}
	c.end(len(body), e)
}

// settleForeign decodes a result by code that may end the goroutine.
func (c *call[In, Out]) settleForeign(body []byte, p *wire.Parcel) {
	decoded := false
	defer func() {
		if !decoded { // nothing can stop that
			c.end(len(body), c.resultError(errors.New("its decoder called runtime.Goexit")))
		}
	}()
	if p == nil && c.f.out.Plan.Handles() {
		p = &wire.Parcel{}
	}
	err := wire.Decode(c.f.out, body, &c.first.out, p)
	decoded = true
	var e *Error
	if err != nil {
		e = c.resultError(err)
	}
	c.end(len(body), e)
}

// end hands the end of the call on.
func (c *call[In, Out]) end(result int, e *Error) {
	first := c.first
	if e != nil {
		var none Out
		first.out, first.err = none, e
	}
	var none In // a caller may keep its future for long
	c.in, first.in = none, none
	first.files, first.args = c.files, c.args
	c.to.end(&first.Call, result)
}

func (c *call[In, Out]) resultError(err error) *Error {
	return &Error{Func: c.fn.name, Row: c.index, Attempt: c.attempt + 1, Attempts: c.attempts(), Cause: CauseEncode, Message: "result: " + textOf(err), wrapped: err}
}
