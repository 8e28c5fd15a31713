package xme

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/xenonmp/xme/internal/dump"
	"github.com/xenonmp/xme/internal/text"
	"github.com/xenonmp/xme/internal/wire"
)

// The kinds of failure that errors.Is finds in an [*Error].
var (
	ErrPanic       = errors.New("xme: panic")                    // the function panicked or called runtime.Goexit
	ErrWorkerLost  = errors.New("xme: worker lost")              // the process that ran the row is gone, or none could be started
	ErrTimeout     = errors.New("xme: time limit exceeded")      // errors.Is also finds context.DeadlineExceeded
	ErrMemory      = errors.New("xme: memory limit exceeded")    // the process that ran the row used too much
	ErrEncode      = errors.New("xme: cannot cross")             // an argument or a result could not be sent
	ErrDepth       = errors.New("xme: nested calls too deep")    // every process waits for calls of its own
	ErrClosed      = errors.New("xme: closed")                   // the pool was closed first
	ErrInterrupted = errors.New("xme: interrupted before start") // by Ctrl-C, see Interruptible; also the cause if it cancelled the row
)

// Error describes how a row failed. Calls return it; errors.As finds it, and errors.Is
// compares it with ErrPanic and the like, with context errors, and with errors registered
// by [RegisterError]. It prints as one line, with %+v as a block that includes the
// worker's stack; it marshals to JSON, and slog prints it as a group. docs/causes.md
// explains what each cause means and what to do about it; [Error.Help] names the section.
type Error struct {
	Func     string // the function's full name; "Open" for a pool that could not be opened
	Row      int    // index in its table or sequence; -1: none
	Rank     int    // the worker; 0: the driver, or no worker was reached
	PID      int    // of its process; 0: none
	Attempt  int    // 1, or more after retries
	Attempts int    // how many there could have been; 0: unknown
	Cause    Cause
	Message  string // the returned error's text, the panic's value, or what was wrong
	Stack    string // where it panicked or crashed, or those of its goroutines when it was killed; may be empty

	// Nested holds the functions of the nested calls, outermost first, through which the
	// error came up unchanged; Func called the first of them. Message, Stack and Output
	// are those of the last.
	Nested []string
	// Earlier describes how earlier attempts failed: cause and message, one line each.
	Earlier []string

	// If the worker is gone:
	ExitCode int           // its exit code; -1 if a signal ended it
	Signal   string        // the signal's name
	Killed   bool          // the pool killed it, for the reason in Message
	Output   string        // the last it wrote to standard output and error, except Stack
	Memory   int64         // the most it used, in bytes; 0: unknown
	CPU      time.Duration // the CPU time it used; 0: unknown

	topic   string   // the anchor of the section that explains it; empty: its cause's
	known   []string // names of known errors it is
	wrapped error    // in this process only
}

// Frame returns the frame of the user's program in which the row failed: the first in
// Stack that belongs neither to the runtime or the standard library nor to the engine.
// Only its Function, File and Line are set. It returns false if there is none.
func (e *Error) Frame() (runtime.Frame, bool) { return dump.First(e.Stack) }

// Is reports whether target is the sentinel of e's cause, or a known error that the row's
// error was, or wrapped, in its worker.
func (e *Error) Is(target error) bool {
	if e.Cause < causeEnd && causes[e.Cause].sentinel == target && target != nil {
		return true
	}
	if e.Cause == CauseTimeout && target == context.DeadlineExceeded {
		return true
	}
	for _, name := range e.known {
		if err, ok := knownErrors.Load(name); ok && err.(error) == target {
			return true
		}
	}
	return false
}

// Unwrap returns the error of this process that e was made from, if any.
func (e *Error) Unwrap() error { return e.wrapped }

// errorWire is what of an Error crosses.
type errorWire struct {
	Func, Message, Stack, Signal, Output, Topic string
	Row, Rank, PID, Attempt, Attempts, ExitCode int
	Memory                                      int64
	CPU                                         time.Duration
	Cause                                       Cause
	Killed                                      bool
	Known, Nested, Earlier                      []string
}

var errorCodec = func() wire.Codec[errorWire] {
	c, err := wire.CodecFor[errorWire]()
	if err != nil {
		panic(err)
	}
	return c
}()

// MarshalBinary encodes e for another process of the same build.
func (e *Error) MarshalBinary() ([]byte, error) {
	w := errorWire{
		Func: e.Func, Message: e.Message, Stack: e.Stack, Signal: e.Signal, Output: e.Output, Topic: e.topic,
		Row: e.Row, Rank: e.Rank, PID: e.PID, Attempt: e.Attempt, Attempts: e.Attempts, ExitCode: e.ExitCode,
		Memory: e.Memory, CPU: e.CPU, Cause: e.Cause, Killed: e.Killed,
		Known: e.names(), Nested: e.Nested, Earlier: e.Earlier,
	}
	return wire.Append(errorCodec, nil, &w, nil)
}

// UnmarshalBinary decodes the output of MarshalBinary.
func (e *Error) UnmarshalBinary(b []byte) error {
	var w errorWire
	if err := wire.Decode(errorCodec, b, &w, nil); err != nil {
		return fmt.Errorf("xme: decode an error: %w", err)
	}
	*e = Error{
		Func: w.Func, Message: w.Message, Stack: w.Stack, Signal: w.Signal, Output: w.Output, topic: topicFrom(w.Topic),
		Row: w.Row, Rank: w.Rank, PID: w.PID, Attempt: w.Attempt, Attempts: w.Attempts, ExitCode: w.ExitCode,
		Memory: w.Memory, CPU: w.CPU, Cause: w.Cause, Killed: w.Killed,
		known: w.Known, Nested: w.Nested, Earlier: w.Earlier,
	}
	return nil
}

// forget drops a known error's name.
func (e *Error) forget(name string) {
	e.known = slices.DeleteFunc(e.known, func(n string) bool { return n == name })
}

// retryable reports whether another attempt may end otherwise.
func (e *Error) retryable() bool {
	switch e.Cause {
	case CauseReturned, CausePanic, CauseLost, CauseStart, CauseTimeout, CauseMemory:
		return true
	default:
		return false
	}
}

// relay makes e, of a function that returned the error of a call that it made, tell
// of that call instead of repeating each function's line on the way up.
func (e *Error) relay(in *Error) {
	e.Stack, e.Output = in.Stack, in.Output
	passedOn := in.Cause == CauseReturned && (len(in.Nested) > 0 || in.Is(ErrDepth))
	e.Message = in.Message
	if !passedOn {
		e.Message = in.what() + in.place()
	}
	if e.topic = in.topic; e.topic == "" && in.Cause != CauseReturned {
		e.topic = in.Cause.anchor()
	}
	if in.Is(ErrDepth) {
		return // its message names them all
	}
	e.Nested = append(append(make([]string, 0, len(in.Nested)+1), in.Func), in.Nested...)
	if n := len(e.Nested); n > mostNested {
		e.Nested = append(e.Nested[:mostNested-1:mostNested-1], e.Nested[n-1])
	}
}

// mostNested bounds Error.Nested.
const mostNested = 100

// note adds how a call's last attempt failed to those before it.
func (c *Call) note(e *Error) {
	if len(c.earlier) < mostEarlier {
		what := e.what()
		if len(what) > earlierText {
			what = text.Cut(what, earlierText) + "…"
		}
		c.earlier = append(c.earlier, what)
	}
}

// Bounds of Error.Earlier.
const (
	mostEarlier = 10
	earlierText = 300
)
