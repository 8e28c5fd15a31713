package xme

import (
	"context"
	"errors"
	"fmt"
	"reflect"
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
		start    *proc.StartError
		valueErr *wire.ValueError
		whole    *Error

		processes *proc.ProcessesError
	)
	killed, isKilled := o.Err.(*proc.KilledError) //nolint:errorlint // it comes as it is, and wraps what may be a user's
	switch {
	case isKilled: // first, as in the next case: killed.Why may be another row's error
		if e.Killed = killed.Killed(); c.calledOff(killed.Why) || killed.Why == ErrInterrupted { //nolint:errorlint // identity is meant
			c.cancelled(e, killed.Why, c.reasonToEnd(killed.Why)+killed.Fate())
		} else {
			e.Cause, e.Message = causeOf(killed.Why), c.reason(killed.Why)+killed.Fate()
		}
		e.setExit(killed.Exit)
	case c.calledOff(o.Err):
		c.cancelled(e, o.Err, e.Message)
	case as(o.Err, &failure):
		e = &Error{}
		if err := e.UnmarshalBinary(failure.Body); err != nil {
			e = &Error{Cause: CauseLost, Message: "the worker sent an error that cannot be read: " + err.Error()}
		}
		if o.Cancelled != nil {
			c.told(e, o.Cancelled)
		}
	case as(o.Err, &start):
		startedNot(e, start)
	case as(o.Err, &whole):
		twin := *whole
		e = &twin
		cause := o.Cancelled
		if cause == nil {
			cause = context.Cause(c.ctx)
		}
		if e.Attempt == 0 && (c.calledOff(cause) || cause == ErrInterrupted) { //nolint:errorlint // identity is meant
			c.toldHere(e, cause)
		} else if e.Attempt == 0 && e.Cause == CauseCancelled && cause == context.DeadlineExceeded && !is(e, cause) { //nolint:errorlint // identity is meant
			c.told(e, cause) // it ran with another context, which was cancelled for the deadline of the call's
		}
	case as(o.Err, &processes):
		e.Cause = CauseStart
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
		if e.Cause == CauseReturned && c.ctx.Err() != nil && is(o.Err, context.Cause(c.ctx)) {
			c.cancelled(e, o.Err, e.Message)
		}
	}
	e.Func, e.Row, e.Attempt, e.Attempts = c.fn.name, c.index, c.attempt+1, c.attempts()
	if c.fn.guards {
		e.Attempts = e.Attempt // it is tried again for as long as it is there
	}
	e.Earlier = slices.Clone(c.earlier)
	if o.Rank != 0 {
		e.Rank, e.PID = o.Rank, o.PID
	}
	return e
}

// calledOff reports whether why is what the call's context ended with, and a cause of the
// caller's own: none of the engine's. It may be the error of another row, with which
// errgroup ends the others: what is true of that one is not of this.
func (c *Call) calledOff(why error) bool {
	if c.ctx.Err() == nil || why == nil {
		return false
	}
	cause := context.Cause(c.ctx)
	switch cause {
	case ErrClosed, ErrTimeout, ErrInterrupted, errTableOver, proc.ErrClosed, proc.ErrTimeout, context.Canceled, context.DeadlineExceeded: //nolint:errorlint // identity is meant
		return false
	}
	var mine, theirs *Error
	return same(why, cause) || as(cause, &theirs) && as(why, &mine) && mine == theirs
}

// cancelled makes e say that the call's context ended, with a cause of the caller's own, or
// by the user's Ctrl-C when the row had begun.
func (c *Call) cancelled(e *Error, why error, text string) {
	ended := c.ctx.Err()
	if ended == nil {
		ended = context.Canceled // a service's: that of the call goes on until the second Ctrl-C
	}
	e.Cause, e.Message, e.wrapped = CauseCancelled, text, errors.Join(ended, asOthers(why))
}

// told makes the error of a row that was told to end, which its worker sent, say why it was.
func (c *Call) told(e *Error, why error) {
	switch {
	case c.calledOff(why), why == ErrInterrupted: //nolint:errorlint // identity is meant
		if e.Cause == CauseCancelled {
			e.forget("context.Canceled") // that was how it heard; why is what counts
			c.cancelled(e, why, c.reasonToEnd(why)+saidThen(e))
		}
	case e.Cause == CauseCancelled || is(why, proc.ErrClosed) || is(why, proc.ErrTimeout):
		e.wrapped = why
		e.forget("context.Canceled")
		if e.Cause != CauseCancelled || causeOf(why) != CauseReturned {
			e.Message = c.reason(why) + saidThen(e)
			e.Cause = causeOf(why)
		} else if ended := c.ctx.Err(); ended != nil {
			e.wrapped = errors.Join(ended, why)
		}
	}
}

// toldHere is told for a row that ran in this process, where it may have returned the cause
// itself.
func (c *Call) toldHere(e *Error, why error) {
	returned := e.wrapped
	if t, ok := returned.(*tamed); ok && e.Cause == CauseReturned && reflect.TypeOf(why).Comparable() && same(t.error, why) { //nolint:errorlint // the error itself, not one that it wraps
		*e = Error{}
		c.cancelled(e, why, c.reasonToEnd(why)+"; it returned when told")
		return
	}
	if e.Cause == CauseCancelled {
		c.cancelled(e, why, c.reasonToEnd(why)+saidThen(e))
		e.wrapped = errors.Join(e.wrapped, returned)
	}
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
	return strings.TrimPrefix(textOf(err), "xme: ")
}

// reasonToEnd is reason, of a row that had begun.
func (c *Call) reasonToEnd(why error) string {
	if why == ErrInterrupted { //nolint:errorlint // what wraps it says more
		return "the user interrupted"
	}
	return c.reason(why)
}

// saidThen is what a row did that was told to end.
func saidThen(e *Error) string {
	if rest, ok := strings.CutPrefix(e.Message, context.Canceled.Error()); ok && e.Attempt != 0 && e.Cause == CauseCancelled {
		return rest // a nested call's: its driver has said so
	}
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
