package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"connectrpc.com/connect/v2"
)

// Waits between attempts.
const (
	firstWait = 10 * time.Millisecond
	mostWait  = time.Second
	mostTried = 10 * time.Second // that an attempt without an answer counts
)

// note is what an attempt says besides its error.
type note int

const (
	final    note = 1 + iota // the error will not change
	progress                 // something came before it
)

// repeat calls attempt until the server has answered, and returns an *Error if it is one. attempt returns what Connect returned.
func (c *Client) repeat(ctx context.Context, function string, attempt func(n int) (note, error)) error {
	if c == nil || c.closed == nil {
		return errZero(function)
	}
	var tried time.Duration
	wait, unsure := firstWait, false // whether an attempt may have been taken in without a word
	for n := 1; ; n++ {
		if c.isClosed() {
			return errClosed(function)
		}
		begun := time.Time{}
		if n > 1 {
			begun = time.Now()
		}
		note, err := attempt(n)
		if err == nil {
			return nil
		}
		e, answered := c.verdict(ctx, function, err)
		unsure = unsure || note == progress
		if unsure && isBefore(e) {
			e = &Error{Code: "lost", Function: function, Message: "no answer, and when sent again: " + e.Message, kind: ErrLost, err: e}
		}
		e.unrun = !unsure
		unsure = unsure || errors.Is(e.kind, ErrLost) && !isUndelivered(err)
		if answered || note == final {
			return e
		}
		c.log.Debug("no answer", "function", function, "attempt", n, "err", e)
		if note == progress {
			tried, wait = 0, firstWait
		} else if !begun.IsZero() {
			tried += min(time.Since(begun), mostTried)
		}
		if tried >= c.retry {
			return e
		}
		pause := wait/2 + rand.N(wait/2+1)
		if !c.sleep(ctx, pause) {
			if c.isClosed() {
				return errClosed(function)
			}
			e.err = errors.Join(ctx.Err(), context.Cause(ctx), e.err)
			return e
		}
		tried += pause
		wait = min(2*wait, mostWait)
	}
}

func (c *Client) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// sleep returns false if ctx or the client ended first.
func (c *Client) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-c.closed:
	}
	return false
}

func errClosed(function string) *Error {
	return &Error{Code: "closed", Function: function, Message: "the client is closed", kind: ErrClosed}
}

func errZero(function string) *Error {
	return &Error{Code: "closed", Function: function, Message: "a zero Client: use what Dial returned", kind: ErrClosed}
}

// over is the error of a call whose context has ended.
func (c *Client) over(ctx context.Context, function string) *Error {
	code := "canceled"
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = "deadline_exceeded"
	}
	why := context.Cause(ctx)
	return &Error{Code: code, Function: function, Message: why.Error(), err: why}
}

// verdict says what an error of an attempt means, and whether it is the answer: otherwise the call may be sent again.
func (c *Client) verdict(ctx context.Context, function string, err error) (e *Error, answered bool) {
	if own, ok := errors.AsType[*Error](err); ok {
		e := *own // it may be everybody's, and is written to
		return &e, true
	}
	if c.isClosed() {
		return errClosed(function), true
	}
	var ce *connect.Error
	if !errors.As(err, &ce) {
		ce = connect.NewError(connect.CodeUnknown, err.Error()).WithCause(err)
	}
	if p := failureIn(ce); p != nil {
		e = errorOf(function, p)
		return e, !errors.Is(e.kind, ErrDraining)
	}
	if ctx.Err() != nil {
		return c.over(ctx, function), true
	}
	if ce.IsRemote() && ce.Code() != connect.CodeUnavailable {
		return foreign(function, ce), true
	}
	return &Error{Code: "lost", Function: function, Message: "no answer: " + ce.Message(), kind: ErrLost, err: err}, false
}

// isUndelivered reports whether a request found no connection.
func isUndelivered(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

var refusedBefore = []error{ErrUnauthenticated, ErrNotAllowed, ErrUnknownFunction, ErrBusy, ErrDraining, errSuperseded}

// isBefore reports whether e says that a request was refused before it was looked up whether its call has run.
func isBefore(e *Error) bool {
	return e.foreign || slices.Contains(refusedBefore, e.kind) || e.Code == connect.CodeUnimplemented.String() && e.err == nil
}

// foreign is an error that did not come from the server's handlers, but from what is around them.
func foreign(function string, ce *connect.Error) *Error {
	e := &Error{Code: ce.Code().String(), Function: function, Message: ce.Message(), foreign: true}
	switch ce.Code() {
	case connect.CodeResourceExhausted:
		e.kind = ErrTooLarge
	case connect.CodeUnauthenticated:
		e.kind = ErrUnauthenticated
	case connect.CodePermissionDenied:
		e.kind = ErrNotAllowed
	default:
	}
	return e
}

// isForeign reports whether err says that something other than this service listens there.
func isForeign(err error) bool {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return false
	}
	switch ce.Code() {
	case connect.CodeUnimplemented, connect.CodeNotFound, connect.CodePermissionDenied, connect.CodeUnauthenticated, connect.CodeInternal:
		return true
	default:
		return false
	}
}
