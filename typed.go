package xme

import (
	"context"
	"errors"

	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/wire"
)

// A method of a generic type, one that an embedded field lends it too, is compiled for each type that the program has functions of, whether it is used or not: see
// wire.Codec. So these types embed nothing, and have the methods only that interfaces want of them. What asks for no types is done by what has none.

// value is the typed half of a call.
type value interface {
	append(dst []byte, p *wire.Parcel) ([]byte, error)
	// decode takes the result.
	decode(body []byte, p *wire.Parcel) error
	// forget drops the arguments, and the result if there is none.
	forget(failed bool)
	// twin makes a call of the same, with the same end.
	twin() *Call
}

// sink takes the ends of calls.
type sink interface {
	// end is called once, with the call that the sink was given, of whose result the
	// encoding had that many bytes.
	end(c *Call, result int)
}

// call is a Call with its types.
type call[In, Out any] struct {
	base Call
	f    *Func[In, Out]
	in   In
	out  Out
}

// newCall makes a call whose end to takes. window, if not nil, hears what its arguments weigh.
func newCall[In, Out any](ctx context.Context, on Executor, f *Func[In, Out], in In, to sink, window *stream) *call[In, Out] {
	c := &call[In, Out]{}
	initCall(c, ctx, on, f, in, to)
	c.base.window = window
	return c
}

// initCall makes c, which is zero, a call.
func initCall[In, Out any](c *call[In, Out], ctx context.Context, on Executor, f *Func[In, Out], in In, to sink) { //nolint:revive // ctx is the call's
	if f.fn.guards {
		in = any(in).(proc.Guard).Named().(In)
	}
	c.f, c.in = f, in
	c.base.init(ctx, on, f.fn, &f.opts, c, to)
	c.base.args = metaSize + wire.Size(f.in, &c.in)
}

func (c *Call) init(ctx context.Context, on Executor, fn *function, opts *CallOptions, v value, to sink) {
	c.fn, c.opts, c.ctx, c.on, c.index = fn, opts, ctx, on, -1
	c.value, c.to, c.first = v, to, c
}

func (c *call[In, Out]) append(dst []byte, p *wire.Parcel) ([]byte, error) {
	return wire.Append(c.f.in, dst, &c.in, p)
}

func (c *call[In, Out]) decode(body []byte, p *wire.Parcel) error {
	return wire.Decode(c.f.out, body, &c.out, p)
}

func (c *call[In, Out]) forget(failed bool) {
	var in In
	c.in = in
	if failed {
		var out Out
		c.out = out
	}
}

func (c *call[In, Out]) twin() *Call {
	return &newCall(c.base.ctx, c.base.on, c.f, c.in, c.base.to, c.base.window).base
}

// twin makes the next attempt at the same call.
func (c *Call) twin() *Call {
	t := c.value.twin()
	t.first = c.first
	t.index, t.seed, t.seeded, t.attempt = c.index, c.seed, c.seeded, c.attempt+1
	t.args, t.files, t.earlier = c.args, c.files, c.earlier
	return t
}

// foreign reports whether decoding the result runs code that is not ours.
func (c *Call) foreign() bool { return c.fn.out.Foreign() }

// steady reports whether decoding the result reads each byte once.
func (c *Call) steady() bool { return c.fn.out.Exact() }

// exact reports whether args is exact before they are encoded.
func (c *Call) exact() bool { return c.fn.in.Exact() }

// plain reports whether the arguments hold nothing that travels in a parcel.
func (c *Call) plain() bool { return c.fn.in.PointerFree() }

// charge corrects what the call's arguments were reckoned to weigh, once they are encoded.
func (c *Call) charge(weight, files int) {
	if c.window != nil {
		c.window.charge(weight, files)
	}
}

// failed says that the call failed and is tried once more.
func (c *Call) failed() {
	if c.window != nil {
		c.window.again()
	}
}

// settled takes the end of the call, once.
func (c *Call) settled(body []byte, p *wire.Parcel, e *Error) {
	if e == nil && c.foreign() {
		c.settleForeign(body, p)
		return
	}
	if e == nil {
		if p == nil && c.fn.out.Handles() {
			p = &wire.Parcel{}
		}
		if err := c.first.value.decode(body, p); err != nil {
			e = c.resultError(err)
		}
	}
	c.end(len(body), e)
}

// settleForeign decodes a result by code that may end the goroutine.
func (c *Call) settleForeign(body []byte, p *wire.Parcel) {
	decoded := false
	defer func() {
		if !decoded { // nothing can stop that
			c.end(len(body), c.resultError(errors.New("its decoder called runtime.Goexit")))
		}
	}()
	if p == nil && c.fn.out.Handles() {
		p = &wire.Parcel{}
	}
	err := c.first.value.decode(body, p)
	decoded = true
	var e *Error
	if err != nil {
		e = c.resultError(err)
	}
	c.end(len(body), e)
}

// end hands the end of the call on.
func (c *Call) end(result int, e *Error) {
	first := c.first
	if e != nil {
		first.err = e
	}
	first.value.forget(e != nil) // a caller may keep its future for long
	if first != c {
		c.value.forget(false)
	}
	first.files, first.args = c.files, c.args
	first.to.end(first, result)
}

func (c *Call) resultError(err error) *Error {
	return &Error{Func: c.fn.name, Row: c.index, Attempt: c.attempt + 1, Attempts: c.attempts(), Cause: CauseEncode, Message: "result: " + textOf(err), wrapped: err}
}
