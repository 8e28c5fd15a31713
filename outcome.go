package xme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xenonmp/xme/internal/dump"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/wire"
)

// errorOf makes the call's error of what its executor said; nil if it succeeded.
func (c *Call) errorOf(o link.Outcome) *Error {
	if o.Err == nil {
		return nil
	}
	e := &Error{Cause: CauseUnsupported, Message: c.reason(o.Err), wrapped: o.Err}
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
				e.Message = c.reason(why) + saidThen(e)
				e.Cause = causeOf(why)
			} else if ended := c.ctx.Err(); ended != nil {
				e.wrapped = errors.Join(ended, why) // with a cause of the caller's own
			}
		}
	case as(o.Err, &start):
		startedNot(e, start)
	case as(o.Err, &whole):
		twin := *whole
		e = &twin
	case as(o.Err, &processes):
		e.Cause = CauseStart
	case as(o.Err, &killed):
		e.Cause, e.Message, e.Killed = causeOf(killed.Why), c.reason(killed.Why)+killed.Fate(), killed.Killed()
		e.setExit(killed.Exit)
	case as(o.Err, &lost):
		e = &Error{Cause: CauseLost, Message: lost.Text(), Killed: lost.Killed, topic: topicOf(lost)}
		e.setExit(lost.Exit)
	case as(o.Err, &valueErr):
		e.Cause = CauseEncode
	case o.Err == proc.ErrTimeout && o.Rank != 0: //nolint:errorlint // what wraps it says more
		e.Cause = CauseTimeout
		e.Message += "; its result came too late"
	default:
		e.Cause = causeOf(o.Err)
		if ended := c.ctx.Err(); e.Cause == CauseReturned && ended != nil && is(o.Err, context.Cause(c.ctx)) {
			e.Cause = CauseCancelled // with a cause of the caller's own
			e.wrapped = errors.Join(ended, o.Err)
		}
	}
	e.Func, e.Row, e.Attempt, e.Attempts = c.fn.name, c.index, c.attempt+1, c.opts.Retries+1
	if c.fn.guards {
		e.Attempts = e.Attempt // it is tried again for as long as it is there
	}
	e.Earlier = slices.Clone(c.earlier)
	if o.Rank != 0 {
		e.Rank, e.PID = o.Rank, o.PID
	}
	return e
}

// reason is the text of an error that an executor made, for a reader who knows the
// cause.
func (c *Call) reason(err error) string {
	switch err {
	case proc.ErrTimeout: //nolint:errorlint // what wraps one of them says more
		if c.opts.Timeout > 0 {
			return fmt.Sprintf("it ran longer than its limit of %v", c.opts.Timeout)
		}
	case ErrClosed, proc.ErrClosed:
		return "the pool was closed"
	case ErrInterrupted:
		return "it had not begun"
	}
	return strings.TrimPrefix(err.Error(), "xme: ")
}

// saidThen is what a row did that was told to end.
func saidThen(e *Error) string {
	if e.Cause == CauseReturned || e.Cause == CauseCancelled {
		if e.Message == context.Canceled.Error() {
			return "; it returned when told"
		}
		return "; it returned: " + e.Message
	}
	return "; it ended with " + e.what()
}

// topicOf returns the section about how a worker was lost.
func topicOf(lost *proc.LostError) string {
	switch {
	case lost.Deaths > 0:
		return topicSetAside
	case as(lost.Why, new(*proc.StoppedError)):
		return topicStopped
	case lost.Why != nil:
		return ""
	case strings.HasPrefix(lost.Exit.Dump, askedForDump):
		return topicSignal
	case dump.Headline(lost.Exit.Dump) != "":
		return topicCrash
	case lost.Exit.Signal != "":
		return topicSignal
	}
	return topicExit
}

// startedNot fills in an error that says that a worker did not start.
func startedNot(e *Error, start *proc.StartError) {
	e.Cause, e.Message, e.Rank, e.PID = CauseStart, start.Err.Error(), start.Rank, start.PID
	var inner *Error
	switch {
	case as(start.Err, &inner): // set-up's: the process was ended for it
		e.Message = "setup: " + inner.Func + ": " + inner.what()
		e.Stack, e.Output, e.Nested = inner.Stack, inner.Output, inner.Nested
		return
	case as(start.Err, new(*wire.SkewError)):
		e.topic = topicSkew
	case as(start.Err, new(*proc.NoInitError)):
		e.topic = topicInit
	case as(start.Err, new(*proc.MemoryError)):
		e.wrapped = errors.Join(start, ErrMemory)
	}
	if start.PID != 0 {
		e.setExit(start.Exit)
	}
}

// setExit records how the row's process ended.
func (e *Error) setExit(x proc.Exit) {
	e.ExitCode, e.Signal, e.Output, e.Memory, e.CPU = x.Code, x.Signal, x.Output, x.Memory, x.CPU
	if x.Dump != "" {
		e.Stack = dump.Crash(x.Dump)
	}
}

// causeOf sorts an error that an executor made in this process.
func causeOf(err error) Cause {
	switch {
	case is(err, proc.ErrClosed):
		return CauseClosed
	case is(err, proc.ErrTimeout):
		return CauseTimeout
	case as(err, new(*proc.MemoryError)), as(err, new(*link.SharedError)):
		return CauseMemory
	case as(err, new(*proc.ShareError)):
		return CauseEncode
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
