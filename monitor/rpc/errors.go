package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme/monitor"
)

// The kinds of failure that errors.Is finds in an [*Error], besides those of package xme and of
// context.
var (
	ErrBusy            = errors.New("rpc: busy")                     // the server has as many calls in flight as it allows: it did not run, unless it is ErrLost too
	ErrUnknownFunction = errors.New("rpc: unknown function")         // the server does not export it
	ErrArguments       = errors.New("rpc: arguments refused")        // they are not JSON for the function's argument
	ErrUnauthenticated = errors.New("rpc: not authenticated")        // the server does not know the caller
	ErrNotAllowed      = errors.New("rpc: not allowed")              // the server knows the caller, and refuses the call
	ErrRestarted       = errors.New("rpc: server restarted")         // the server has a new life; the call may have run in the previous one
	ErrForgotten       = errors.New("rpc: outcome forgotten")        // the server has discarded the session or the outcome; the call may have run
	ErrLost            = errors.New("rpc: no answer")                // none came before the attempts ended, or a later one was refused; the call may have run
	ErrTooLarge        = errors.New("rpc: message too large")        // arguments or result exceed Limits.Message
	ErrDraining        = errors.New("rpc: server is ending")         // the server is shutting down and takes no more calls: it did not run
	ErrClosed          = errors.New("rpc: closed")                   // the client was closed; the call may have run
	ErrMark            = errors.New("rpc: mark used for other call") // the number was used before, for a different call
	errSuperseded      = errors.New("rpc: superseded")               // another request reads the stream now
)

// reasons are the names that sentinels have on the wire.
var reasons = map[string]error{
	"busy": ErrBusy, "unknown_function": ErrUnknownFunction, "args": ErrArguments, "unauthenticated": ErrUnauthenticated, "not_allowed": ErrNotAllowed,
	"restarted": ErrRestarted, "forgotten": ErrForgotten, "too_large": ErrTooLarge, "draining": ErrDraining, "mark": ErrMark, "superseded": errSuperseded,

	"no_key": monitor.ErrNoKey, "conflict": monitor.ErrConflict, "reserved": monitor.ErrReserved, "key": monitor.ErrKey, "malformed": monitor.ErrMalformed,
	"type": monitor.ErrType, "tampered": monitor.ErrTampered, "replay": monitor.ErrReplay, "message_too_large": monitor.ErrTooLarge,
}

// Error describes how a call of a [Client] failed. errors.Is compares it with the kinds of this
// package and, for calls about messages, with those of package monitor; with ErrTimeout,
// ErrWorkerLost and the like of package xme, and errors registered by xme.RegisterError, if the
// function's call failed that way; and with context.DeadlineExceeded and context.Canceled, in which
// case the call may have run.
type Error struct {
	Code     string // as named by Connect, for example "not_found"; "lost" and "closed" are the client's own
	Function string // the one that was called; empty: none
	Message  string

	unrun bool  // no attempt before this one may have been taken in
	kind  error // one of this package's; nil: none
	err   error // an *xme.Error that the server sent, or what ended the attempts

	foreign bool // it is not of the server's handlers
}

// Error returns one line with the function, the code, and the message.
func (e *Error) Error() string {
	if e.Function == "" {
		return fmt.Sprintf("rpc: %s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("rpc: %s: %s: %s", e.Function, e.Code, e.Message)
}

// Is reports whether target is the kind of e.
func (e *Error) Is(target error) bool {
	switch target {
	case nil:
		return false
	case context.DeadlineExceeded:
		return e.Code == "deadline_exceeded"
	case context.Canceled:
		return e.Code == "canceled"
	}
	return target == e.kind
}

// Unwrap returns the [*xme.Error] that the server sent, or what ended the attempts; nil: neither.
func (e *Error) Unwrap() error { return e.err }
