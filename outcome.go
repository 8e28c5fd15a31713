package xme

import (
	"context"
	"errors"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/wire"
)

// errorOf makes the call's error of what its executor said; nil if it succeeded.
func (c *Call) errorOf(o link.Outcome) *Error {
	if o.Err == nil {
		return nil
	}
	e := &Error{Cause: CauseUnsupported, Message: o.Err.Error(), wrapped: o.Err}
	var (
		failure  *proc.RowError
		lost     *proc.LostError
		killed   *proc.KilledError
		start    *proc.StartError
		valueErr *wire.ValueError
		whole    *Error

		processes *proc.ProcessesError
	)
	switch {
	case as(o.Err, &failure):
		e = &Error{}
		if err := e.UnmarshalBinary(failure.Body); err != nil {
			e = &Error{Cause: CauseLost, Message: "the worker sent an error that cannot be read: " + err.Error()}
		}
		if why := o.Cancelled; why != nil && (e.Cause == CauseCancelled || is(why, proc.ErrClosed) || is(why, proc.ErrTimeout)) {
			e.wrapped = why
			e.forget("context.Canceled") // that was how it heard; why is what counts
			if e.Cause != CauseCancelled || causeOf(why) != CauseReturned {
				e.Cause = causeOf(why)
			}
		}
	case as(o.Err, &whole):
		twin := *whole
		e = &twin
	case as(o.Err, &start), as(o.Err, &processes):
		e.Cause = CauseStart
	case as(o.Err, &killed):
		e.Cause, e.Message = causeOf(killed.Why), killed.Error()
		e.setExit(killed.Exit)
	case as(o.Err, &lost):
		e = &Error{Cause: CauseLost, Message: lost.Detail}
		e.setExit(lost.Exit)
		if e.Message != "" {
			e.Message += "; "
		}
		e.Message += lost.Exit.String()
	case as(o.Err, &valueErr):
		e.Cause = CauseEncode
	default:
		e.Cause = causeOf(o.Err)
		if ended := c.ctx.Err(); e.Cause == CauseReturned && ended != nil && is(o.Err, context.Cause(c.ctx)) {
			e.Cause = CauseCancelled // with a cause of the caller's own
			e.wrapped = errors.Join(ended, o.Err)
		}
	}
	e.Func, e.Row, e.Attempt = c.fn.name, c.index, c.attempt+1
	if o.Rank != 0 {
		e.Rank, e.PID = o.Rank, o.PID
	}
	return e
}

// setExit records how the row's process ended.
func (e *Error) setExit(x proc.Exit) {
	e.ExitCode, e.Signal, e.Output, e.Memory, e.CPU = x.Code, x.Signal, x.Output, x.Memory, x.CPU
	if x.Dump != "" {
		e.Stack = x.Dump
	}
}

// causeOf sorts an error that an executor made in this process.
func causeOf(err error) Cause {
	switch {
	case is(err, proc.ErrClosed):
		return CauseClosed
	case is(err, proc.ErrTimeout):
		return CauseTimeout
	case as(err, new(*proc.MemoryError)):
		return CauseMemory
	case as(err, new(*proc.DepthError)):
		return CauseDepth
	}
	for c, k := range causes {
		if c != int(CauseStart) && k.sentinel != nil && is(err, k.sentinel) {
			return Cause(c)
		}
	}
	if is(err, context.Canceled) || is(err, context.DeadlineExceeded) {
		return CauseCancelled
	}
	return CauseReturned
}
