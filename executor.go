package xme

import (
	"context"
	"errors"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/wire"
)

// Inline returns an executor that runs calls in this process: one at a time, in order, on
// goroutines of its own, with arguments and results encoded and decoded as everywhere
// else. It is meant for debugging and tests. [Func.Go] returns once the task has; any
// further attempts, by Retries, run after that. A call made within a task runs in its
// caller's place, a service on a goroutine beside the row whose turn it is. Inline
// honours Retries, and also Timeout if the task watches its context; On, Fresh and Memory
// end a call with an error that wraps errors.ErrUnsupported.
func Inline() Executor { return &inline{turn: make(chan struct{}, 1)} }

type inline struct {
	turn chan struct{} // holds a token while a row runs
}

type inlineKey struct{}

// inlineTask is what Current returns in a task that runs inline: its calls run in
// their caller's place, whatever their context.
type inlineTask struct{ e *inline }

func (t inlineTask) Submit(_ context.Context, calls []*Call) (int, error) { return t.e.runAll(calls) }

func (e *inline) Submit(ctx context.Context, calls []*Call) (int, error) {
	if ctx.Value(inlineKey{}) != e { // else the caller's own turn lasts
		select {
		case e.turn <- struct{}{}:
			defer func() { <-e.turn }()
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return e.runAll(calls)
}

// runAll runs calls one after another.
func (e *inline) runAll(calls []*Call) (int, error) {
	for _, c := range calls {
		if err := c.refusedInline(); err != nil {
			c.Finish(nil, err)
			continue
		}
		args, parcel, err := c.encodeAll()
		switch {
		case err != nil:
			c.Finish(nil, err)
		case c.opts.Service:
			go e.serve(c, args, parcel) // beside the row whose turn it is
		default:
			c.Finish(e.run(c.ctx, c, args, parcel))
		}
	}
	return len(calls), nil
}

// serve runs a service, whose context also ends when no more rows shall begin.
func (e *inline) serve(c *Call, args []byte, parcel *wire.Parcel) {
	defer func() {
		if !c.ended.Load() { // nothing can stop that
			c.Finish(nil, errors.New("a method of its context called runtime.Goexit"))
		}
	}()
	ctx, cancel := context.WithCancelCause(c.ctx) // not the call's, which another attempt needs
	defer cancel(nil)
	if !c.fn.guards { // it ends when the other rows have
		defer onDrain(c.ctx, func() { cancel(ErrInterrupted) })()
	}
	if err := c.refusedInline(); err != nil {
		parcel.Close()
		c.Finish(nil, err)
		return
	}
	body, err := e.run(ctx, c, args, parcel)
	o := link.Outcome{Body: body, Parcel: c.result, Err: err}
	if err != nil {
		o.Cancelled = context.Cause(ctx)
	}
	c.result = nil
	c.finish(o)
}

// run runs a call whose arguments have been encoded.
func (e *inline) run(ctx context.Context, c *Call, args []byte, parcel *wire.Parcel) ([]byte, error) {
	outer := ctx
	ctx = context.WithValue(ctx, inlineKey{}, e)
	if limit := c.opts.Timeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, proc.ErrTimeout)
		defer cancel()
	}
	body, err := c.runEncoded(ctx, args, parcel)
	if c.opts.Timeout > 0 && context.Cause(ctx) == proc.ErrTimeout && context.Cause(outer) != proc.ErrTimeout { //nolint:errorlint // what wraps it is another row's
		return nil, proc.ErrTimeout
	}
	return body, err
}

// refusedInline returns why a call shall not begin; nil: it may.
func (c *Call) refusedInline() error {
	if err := c.opts.refusedInline(); err != nil {
		return err
	}
	err := stoppedBy(c.ctx)
	if _, patient := err.(proc.Patient); patient && c.opts.Service { //nolint:errorlint // identity is meant
		return nil
	}
	return err
}

// refusedInline names the first option that Inline cannot honour.
func (o CallOptions) refusedInline() error {
	name := ""
	switch {
	case len(o.On) > 0:
		name = "On"
	case o.Fresh:
		name = "Fresh"
	case o.Memory != 0:
		name = "Memory"
	default:
		return o.refused()
	}
	return unsupported("option " + name)
}
