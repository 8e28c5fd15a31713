package xme

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/wire"
)

// rowContext is the context of a row that a worker runs. Most tasks look at their
// context little or not at all, so a standard context is made only for one that
// waits for the end or derives another from it: the derived context finds the
// standard one through Value, with its cause, and needs no goroutine. A row's
// context must not be used for another row: tasks may keep theirs.
type rowContext struct {
	state atomic.Uint32

	mu     sync.Mutex
	cause  error           // why it has ended; nil: as contexts end
	inner  context.Context //nolint:containedctx // this one, once somebody waits for its end
	cancel context.CancelCauseFunc
}

// The states of a rowContext. It leaves contextMade with mu held; most go from the
// first to the last without it.
const (
	contextBare uint32 = iota // nobody has waited for its end
	contextMade               // there is a standard context, or is about to be
	contextOver
)

// standard returns the standard context that ends with c.
func (c *rowContext) standard() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		made := c.state.CompareAndSwap(contextBare, contextMade)
		c.inner, c.cancel = context.WithCancelCause(context.Background())
		if !made {
			c.cancel(c.cause)
		}
	}
	return c.inner
}

// end ends the context, with cause as why unless it has ended.
func (c *rowContext) end(cause error) {
	if cause == nil && c.state.CompareAndSwap(contextBare, contextOver) {
		return
	}
	c.mu.Lock()
	if c.state.Load() == contextOver {
		c.mu.Unlock()
		return
	}
	c.cause = cause
	made := c.state.Swap(contextOver) == contextMade
	cancel := c.cancel
	c.mu.Unlock()
	if made {
		cancel(cause)
	}
}

// Deadline implements context.Context: the clock of a row is its driver's.
func (*rowContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (c *rowContext) Done() <-chan struct{} { return c.standard().Done() }

// Err implements context.Context.
func (c *rowContext) Err() error {
	if c.state.Load() != contextOver {
		return nil
	}
	return c.standard().Err()
}

// workerRow is one row that a worker runs, in one piece of memory: the link's task,
// the function's context, and the executor of the calls that the function makes.
type workerRow struct {
	rowContext
	invocation
	nest nestTask
	done link.Done

	bounded bool // the memory of this process is
}

// Value implements context.Context.
func (r *workerRow) Value(key any) any {
	if key == (taskKey{}) {
		return &r.task
	}
	if key == (proc.TaskKey{}) {
		return context.Context(r)
	}
	return r.standard().Value(key)
}

// Cancel implements link.Task.
func (r *workerRow) Cancel(cause error) { r.rowContext.end(cause) }

// Spoke implements link.Task.
func (r *workerRow) Spoke() bool { return r.nest.spoke }

// Run implements link.Task.
func (r *workerRow) Run(f *link.Frame, dst []byte, done link.Done) {
	r.done, r.nest.blocks, r.loose = done, f.Blocks, f.Loose
	if r.task.fn == nil {
		f.Parcel.Close()
		r.finished(nil, nil, &Error{Row: -1, Cause: CauseEncode, Message: fmt.Sprintf("no function %d", f.Func)})
		return
	}
	if r.parcel = f.Parcel; r.parcel == nil && r.task.fn.in.Handles() {
		r.parcel, r.pooled = wire.NewParcel(), true
	}
	if r.parcel != nil {
		r.parcel.Task, r.parcel.Over = true, f.Over
	}
	if !r.bounded {
		r.invocation.space = f.Space // memory that is shared counts as this process's
	}
	r.run(r, f.Body, dst, r)
}

// finished implements finisher.
func (r *workerRow) finished(body []byte, parcel *wire.Parcel, err *Error) {
	r.rowContext.end(nil)
	r.nest.end()
	if err == nil && parcel != nil {
		if cause := packUp(r.nest.n.conn, parcel); cause != nil {
			parcel.Close()
			err = r.failed(CauseEncode, "result: "+cause.Error(), cause)
		}
	}
	if err != nil {
		r.fail(err)
		return
	}
	r.done(wire.KindResult, body, parcel)
}

// fail hands on an error, or another if a method of what it wraps ends the goroutine:
// nothing can stop that.
func (r *workerRow) fail(err *Error) {
	var body []byte
	defer func() {
		if body == nil {
			body = errorBody(r.goexit("a method of the error that the function returned called runtime.Goexit: " + err.Message))
		}
		r.done(wire.KindFail, body, nil)
	}()
	body = errorBody(err)
}
