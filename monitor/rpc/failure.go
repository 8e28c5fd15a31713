package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

// A failure is how a call ended, as it is told to other hosts.
type failure struct {
	code    connect.Code
	reason  string // empty: the function's own
	message string
	err     *xme.Error // without what is the server's only
}

func refuse(code connect.Code, reason, message string) *failure {
	return &failure{code: code, reason: reason, message: message}
}

func (f *failure) Error() string { return f.message }

// failureOf says what an error of a call is to others:
//
//	invalid_argument    the arguments are not what the function takes
//	deadline_exceeded   a time limit, the call's or the function's
//	canceled            the call was
//	aborted             its worker is gone, or none could be started
//	internal            it panicked, or its result cannot cross
//	resource_exhausted  its memory limit
//	unavailable         its executor is closed, or shall begin no more
//	unimplemented       its executor does not offer what the call asks for
//	unknown             the function returned an error
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	if args, ok := errors.AsType[*argsError](err); ok {
		return refuse(connect.CodeInvalidArgument, "args", args.Error())
	}
	if e, ok := errors.AsType[*xme.Error](err); ok {
		told := *e
		told.Stack, told.Output, told.PID = "", "", 0
		f = &failure{code: codeOf(e.Cause), message: e.Message, err: &told}
		if f.message == "" {
			f.message = e.Cause.String()
		}
		return f
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return refuse(connect.CodeDeadlineExceeded, "", err.Error())
	case errors.Is(err, context.Canceled):
		return refuse(connect.CodeCanceled, "", err.Error())
	}
	return refuse(connect.CodeInternal, "", err.Error())
}

func codeOf(c xme.Cause) connect.Code {
	switch c {
	case xme.CauseReturned:
		return connect.CodeUnknown
	case xme.CauseLost, xme.CauseStart:
		return connect.CodeAborted
	case xme.CauseTimeout:
		return connect.CodeDeadlineExceeded
	case xme.CauseMemory:
		return connect.CodeResourceExhausted
	case xme.CauseCancelled:
		return connect.CodeCanceled
	case xme.CauseClosed, xme.CauseInterrupted:
		return connect.CodeUnavailable
	case xme.CauseUnsupported:
		return connect.CodeUnimplemented
	default:
		return connect.CodeInternal
	}
}

// mostMessage bounds the text of a failure.
const mostMessage = 16 << 10

// proto returns f for the wire.
func (f *failure) proto() *xmev1.Failure {
	p := &xmev1.Failure{Code: f.code.String(), Reason: f.reason, Message: clean(f.message)}
	if f.err != nil {
		if b, err := json.Marshal(f.err); err == nil && len(b) <= 4*mostMessage {
			p.Error = string(b)
		}
	}
	return p
}

// connect returns f as the error that the protocol carries; it holds the failure as its detail.
func (f *failure) connect() *connect.Error {
	e := connect.NewError(f.code, clean(f.message))
	if d, err := connectproto.NewErrorDetail(f.proto()); err == nil {
		e = e.WithDetail(d)
	}
	return e
}

// size returns about how much memory f takes.
func (f *failure) size() int {
	n := 200 + len(f.message)
	if f.err != nil {
		n += 300 + len(f.err.Message)
	}
	return n
}

func clean(s string) string {
	if len(s) > mostMessage {
		s = s[:mostMessage] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// errorOf returns what the server said of a call, as the client's error.
func errorOf(function string, p *xmev1.Failure) *Error {
	e := &Error{Code: p.GetCode(), Function: function, Message: p.GetMessage(), kind: reasons[p.GetReason()]}
	if p.GetError() != "" {
		x := new(xme.Error)
		if x.UnmarshalJSON([]byte(p.GetError())) == nil {
			e.err = x
		}
	}
	return e
}

// reasonOf returns the reason that the server gave for an error; empty: none.
func reasonOf(err error) string {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return ""
	}
	return failureIn(ce).GetReason()
}

// failureIn returns the detail of an error that the server's handlers made; nil: they did not.
func failureIn(e *connect.Error) *xmev1.Failure {
	for _, d := range e.Details() {
		if m, err := connectproto.UnmarshalErrorDetail(d); err == nil {
			if p, ok := m.(*xmev1.Failure); ok {
				return p
			}
		}
	}
	return nil
}
