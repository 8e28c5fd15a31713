package xme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

// Executor runs calls. [*Pool] and [Inline] are executors; others may be written
// outside this package and behave the same if xmetest.Exercise passes on them.
type Executor interface {
	// Submit accepts a prefix of calls, in order, and returns its length. It may
	// block only while there is no room for the first; ctx bounds that wait. n <
	// len(calls) with a nil error means that the rest may be offered again. Every
	// accepted call ends by exactly one Finish, from any goroutine, also before
	// Submit returns; calls that were not accepted are left alone.
	//
	// A call should be encoded (AppendArgs) or run before Submit returns: until
	// then its arguments do not change, afterwards they may. An executor ends a call
	// when the call's Context ends. An option it cannot honour ends the call with
	// an error that wraps errors.ErrUnsupported.
	//
	// An executor with a method Ranks() []int can Broadcast.
	Submit(ctx context.Context, calls []*Call) (n int, err error)
}

// Call is one call on its way through an executor. Its methods are for executors;
// except for Context, Name and Options, one goroutine at a time may use them.
type Call struct {
	row    link.Row
	fn     *function
	opts   *CallOptions
	ctx    context.Context //nolint:containedctx // a Call is a request: its context is its end
	on     Executor        // where it was submitted
	value  value
	args   int // bytes of the encoded arguments; until they are encoded, about
	files  int // open files among them
	index  int // -1: none
	seed   uint64
	seeded bool

	attempt int
	ended   atomic.Bool
	result  *wire.Parcel // files that travel with the result of Run
	watch   *watch       // in a pool: who ends the call when its context ends
	next    *Call        // in the watch's list
	prev    *Call
	nested  nestedCall // in a task: what its worker knows of it
}

// value is the typed half of a call.
type value interface {
	append(dst []byte, p *wire.Parcel) ([]byte, error)
	// twin makes the next attempt at the same call.
	twin() *Call
	// foreign reports whether decoding the result runs code that is not ours.
	foreign() bool
	// exact reports whether args is exact before they are encoded.
	exact() bool
	// charge corrects what the call's arguments were reckoned to take.
	charge(bytes, files int)
	// settle takes the end of the call, once.
	settle(body []byte, p *wire.Parcel, err *Error)
}

// Name returns the function's full name.
func (c *Call) Name() string { return c.fn.name }

// Options returns how the call is to be run.
func (c *Call) Options() CallOptions { return *c.opts }

// Context returns the context whose end is the call's.
func (c *Call) Context() context.Context { return c.ctx }

// AppendArgs appends the encoded arguments, for [Serve] in another process of the
// same build. The error, if any, is what the call must be finished with.
func (c *Call) AppendArgs(dst []byte) ([]byte, error) {
	var p wire.Parcel
	body, err := c.encode(dst, &p)
	if err == nil && len(p.Items) > 0 {
		err = fmt.Errorf("this executor does not carry open files: %w", errors.ErrUnsupported)
	}
	p.Close()
	if err != nil {
		return dst, c.encodeError(err)
	}
	return body, nil
}

// Run runs the call in this process, on a goroutine of its own, and returns what
// Finish takes. Arguments and result are encoded and decoded all the same. ctx's
// end is the task's, besides the call's own.
func (c *Call) Run(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })
	defer stop()
	return c.runAs(ctx, task{current: currentFor(c)})
}

func currentFor(c *Call) Executor {
	switch on := c.on.(type) {
	case *inline:
		return inlineTask{on}
	case nil:
		return Inline()
	default:
		return on
	}
}

func (c *Call) runAs(ctx context.Context, t task) ([]byte, error) {
	p := &wire.Parcel{}
	args, err := c.encode(nil, p)
	if err != nil {
		p.Close()
		return nil, c.encodeError(err)
	}
	body, out, e := runApart(ctx, invocation{fn: c.fn, task: t, parcel: p}, args)
	c.result = out
	if e != nil {
		return nil, e
	}
	return body, nil
}

// Finish ends the call: with the body that [Serve] or [Call.Run] returned, or with
// an error. The body may be reused once Finish has returned. A second Finish is
// the executor's mistake and panics.
func (c *Call) Finish(body []byte, err error) {
	p := c.result
	c.result = nil
	c.finish(link.Outcome{Body: body, Parcel: p, Err: err})
}

// End implements link.Owner, for calls that a pool runs: a call that shall be tried
// again stays accepted.
func (c *Call) End(o link.Outcome, again bool) bool {
	e := c.errorOf(o)
	if again && c.wantsAgain(e) {
		o.Parcel.Close()
		c.attempt++
		return true
	}
	c.begin()
	if e == nil && c.value.foreign() {
		// Not on the goroutine that reads the worker's frames: it may take its time,
		// or never return.
		o.Body = slices.Clone(o.Body)
		c.apart(func() { c.settle(o, nil) })
		return false
	}
	c.settle(o, e)
	return false
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
	c.value.settle(o.Body, o.Parcel, e)
	o.Parcel.Close()
}

// wantsAgain reports whether a call that failed with e is to be tried once more.
func (c *Call) wantsAgain(e *Error) bool {
	return e != nil && c.attempt < c.opts.Retries && e.retryable() && c.ctx.Err() == nil && !interrupted(c.ctx)
}

// finish ends a call that no pool runs.
func (c *Call) finish(o link.Outcome) {
	c.begin()
	c.row.Parcel.Close() // of a row that no pool took over
	c.row.Segment.Free()
	c.row.Segment = nil
	e := c.errorOf(o)
	if c.wantsAgain(e) {
		o.Parcel.Close()
		go c.again(e)
		return
	}
	c.settle(o, e)
}

// again submits a failed call once more.
func (c *Call) again(last *Error) {
	c = c.value.twin()
	for {
		n, err := c.on.Submit(c.ctx, []*Call{c})
		switch {
		case n == 1:
			return
		case err != nil:
			c.attempt = c.opts.Retries // the last word
			c.Finish(nil, fmt.Errorf("%w (after: %w)", err, last))
			return
		}
	}
}

// encode appends the row's meta data and encoded arguments.
func (c *Call) encode(dst []byte, p *wire.Parcel) ([]byte, error) {
	if !c.seeded {
		n := uint64(c.index)
		if c.index < 0 {
			n = looseSeeds + looseCalls.Add(1)
		}
		c.seed, c.seeded = seedOf(defaultSeed, n), true
	}
	n := len(dst)
	dst, err := c.value.append(appendMeta(dst, c.index, c.seed), p)
	if err == nil {
		size, files := len(dst)-n, len(p.Items)
		c.value.charge(size-c.args, files-c.files)
		c.args, c.files = size, files
	}
	return dst, err
}

// looseCalls numbers calls that belong to no row and no pool.
var looseCalls atomic.Uint64

// looseSeeds is where the numbers of calls that are no row begin: far from any
// row's index.
const looseSeeds = 1 << 62

func (c *Call) encodeError(err error) *Error {
	return &Error{Func: c.fn.name, Row: c.index, Cause: CauseEncode, Message: "argument: " + err.Error(), Attempt: c.attempt + 1, wrapped: err}
}

// check panics, on the caller's goroutine, on what can only be a mistake: a pool
// whose Open failed, a function that was never registered.
func check(registered bool, on Executor) {
	if !registered {
		panic("xme: a call of a nil *Func: assign what Register returned")
	}
	if p, ok := on.(*Pool); on == nil || ok && p == nil {
		panic("xme: a call on a nil executor: has Open returned an error?")
	}
}

// sink takes the end of a call.
type sink[Out any] interface {
	// charge corrects what the arguments of a call were reckoned to take, once they
	// are encoded.
	charge(bytes, files int)
	// end is called once.
	end(slot int, v Out, err error, size sizes)
}

// sizes is what a call took, encoded: bytes of its arguments and result, and open
// files among the arguments.
type sizes struct{ args, result, files int }

// call is a Call with its types.
type call[In, Out any] struct {
	Call
	f    *Func[In, Out]
	in   In
	to   sink[Out]
	slot int
}

func newCall[In, Out any](ctx context.Context, on Executor, f *Func[In, Out], in In, to sink[Out], slot int) *call[In, Out] {
	c := &call[In, Out]{f: f, in: in, to: to, slot: slot}
	c.fn, c.opts, c.ctx, c.on, c.index = f.fn, &f.opts, ctx, on, -1
	c.value = c
	c.args = metaSize + f.in.Size(&c.in)
	return c
}

func (c *call[In, Out]) twin() *Call {
	t := newCall(c.ctx, c.on, c.f, c.in, c.to, c.slot)
	t.index, t.seed, t.seeded, t.attempt = c.index, c.seed, c.seeded, c.attempt+1
	t.args, t.files = c.args, c.files
	return &t.Call
}

func (c *call[In, Out]) append(dst []byte, p *wire.Parcel) ([]byte, error) {
	return c.f.in.Append(dst, &c.in, p)
}

func (c *call[In, Out]) foreign() bool           { return c.f.out.Foreign() }
func (c *call[In, Out]) exact() bool             { return c.f.in.Exact() }
func (c *call[In, Out]) charge(bytes, files int) { c.to.charge(bytes, files) }

func (c *call[In, Out]) settle(body []byte, p *wire.Parcel, e *Error) {
	var out Out
	decoded := false
	end := func() {
		var err error
		if e != nil {
			err = e
		}
		var none In
		c.in = none // a caller may keep its future for long
		c.to.end(c.slot, out, err, sizes{c.args, len(body), c.files})
	}
	defer func() {
		if !decoded { // the result's own decoder ends the goroutine; nothing can stop that
			e = c.resultError(errors.New("its decoder called runtime.Goexit"))
			end()
		}
	}()
	if e == nil {
		if err := c.f.out.Decode(body, &out, p); err != nil {
			var zero Out
			out = zero
			e = c.resultError(err)
		}
	}
	decoded = true
	end()
}

func (c *call[In, Out]) resultError(err error) *Error {
	return &Error{Func: c.fn.name, Row: c.index, Attempt: c.attempt + 1, Cause: CauseEncode, Message: "result: " + err.Error(), wrapped: err}
}

// submit offers calls until all are accepted; what cannot be is finished with the
// error.
func submit(ctx context.Context, on Executor, calls ...*Call) error {
	for len(calls) > 0 {
		n, err := on.Submit(ctx, calls)
		if n < 0 || n > len(calls) {
			panic(fmt.Sprintf("xme: a %T accepted %d of %d calls", on, n, len(calls)))
		}
		calls = calls[n:]
		if err == nil && n == 0 {
			err = context.Cause(ctx) // nil: it may be offered again
		}
		if err != nil {
			for _, c := range calls {
				c.Finish(nil, err)
			}
			return err
		}
	}
	return nil
}
