package xme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/xenonmp/xme/internal/wire"
)

// The kinds of failure that errors.Is finds in an [*Error].
var (
	ErrPanic       = errors.New("xme: panic")                    // the function panicked or called runtime.Goexit
	ErrWorkerLost  = errors.New("xme: worker lost")              // the process that ran the row is gone
	ErrTimeout     = errors.New("xme: time limit exceeded")      // also context.DeadlineExceeded
	ErrMemory      = errors.New("xme: memory limit exceeded")    //
	ErrEncode      = errors.New("xme: cannot cross")             // an argument or a result
	ErrDepth       = errors.New("xme: nested calls too deep")    //
	ErrClosed      = errors.New("xme: closed")                   // the pool was closed first
	ErrInterrupted = errors.New("xme: interrupted before start") // by Ctrl-C, see Interruptible
)

// Cause says what ended a row.
type Cause uint8

// The causes. New ones may be added at the end.
const (
	CauseReturned    Cause = 1 + iota // the function returned an error
	CausePanic                        // the function panicked
	CauseLost                         // its worker died or broke the protocol
	CauseStart                        // no worker could be started
	CauseTimeout                      // it ran longer than it was allowed
	CauseMemory                       // it used more memory than it was allowed
	CauseCancelled                    // its context ended
	CauseEncode                       // its argument or result could not cross
	CauseDepth                        // it was nested too deep
	CauseClosed                       // its executor was closed
	CauseInterrupted                  // it had not begun when the user interrupted
	CauseUnsupported                  // the executor does not offer what the call asks for
	causeEnd
)

var causes = [causeEnd]struct {
	name     string
	sentinel error
}{
	CauseReturned:    {"error", nil},
	CausePanic:       {"panic", ErrPanic},
	CauseLost:        {"worker lost", ErrWorkerLost},
	CauseStart:       {"no worker", ErrWorkerLost},
	CauseTimeout:     {"time-out", ErrTimeout},
	CauseMemory:      {"memory", ErrMemory},
	CauseCancelled:   {"cancelled", nil},
	CauseEncode:      {"encode", ErrEncode},
	CauseDepth:       {"depth", ErrDepth},
	CauseClosed:      {"closed", ErrClosed},
	CauseInterrupted: {"interrupted", ErrInterrupted},
	CauseUnsupported: {"unsupported", errors.ErrUnsupported},
}

func (c Cause) String() string {
	if c == 0 || c >= causeEnd {
		return fmt.Sprintf("cause %d", uint8(c))
	}
	return causes[c].name
}

// Error is how a row failed. Calls return it; errors.As finds it and errors.Is
// compares it with ErrPanic and its like, with context errors, and with the
// errors of [RegisterError]. It prints as one line, with %+v as a block that holds
// the worker's stack.
type Error struct {
	Func    string // the function's full name
	Row     int    // index in its table or sequence; -1: none
	Rank    int    // the worker; 0: the driver, or none was reached
	PID     int    // its process; 0: none
	Attempt int    // 1, or more after retries
	Cause   Cause
	Message string // the returned error's text, the panic's value, what was wrong
	Stack   string // where it panicked, or what its goroutines did when it was killed; may be empty

	// Of a worker that is gone:
	ExitCode int           // how it exited, -1 if a signal ended it
	Signal   string        // the signal's name
	Output   string        // the last it wrote to standard output and error
	Memory   int64         // the most it had, in bytes; 0: unknown
	CPU      time.Duration // that it used; 0: unknown

	known   []string // names of known errors it is
	wrapped error    // in this process only
}

// Error returns one line: function, row, cause, place.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("xme: ")
	b.WriteString(escape(e.Func))
	if e.Row >= 0 {
		fmt.Fprintf(&b, " row %d", e.Row)
	}
	b.WriteString(": ")
	if e.Cause != CauseReturned || e.Message == "" {
		b.WriteString(e.Cause.String())
		if e.Message != "" {
			b.WriteString(": ")
		}
	}
	b.WriteString(escape(e.Message))
	var at []string
	if e.Rank > 0 {
		at = append(at, fmt.Sprintf("rank %d, pid %d", e.Rank, e.PID))
	}
	if e.Attempt > 1 {
		at = append(at, fmt.Sprintf("attempt %d", e.Attempt))
	}
	if len(at) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(at, ", "))
	}
	return b.String()
}

// escape escapes control characters, tabs excepted, and what is not UTF-8, so that
// the text keeps to its line and drives no terminal.
func escape(s string) string {
	if strings.IndexFunc(s, control) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, "\\x%02x", s[i])
		case !control(r) || r == '\t':
			b.WriteRune(r)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, "\\x%02x", r)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

// control reports whether r drives a terminal or ends a line.
func control(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// Format prints the line of Error, or with %+v a block.
func (e *Error) Format(s fmt.State, verb rune) {
	switch {
	case verb == 'q':
		_, _ = fmt.Fprintf(s, "%q", e.Error())
		return
	case verb == 'v' && s.Flag('+'):
	default:
		_, _ = io.WriteString(s, e.Error())
		return
	}
	_, _ = io.WriteString(s, e.Error())
	block := func(title, text string) {
		if text == "" {
			return
		}
		_, _ = io.WriteString(s, "\n  "+title+":")
		for line := range strings.Lines(text) {
			_, _ = io.WriteString(s, "\n    "+escape(strings.TrimRight(line, "\n")))
		}
	}
	block("stack", e.Stack)
	block("last output", lastLines(e.Output, 20))
	if e.Memory > 0 {
		_, _ = fmt.Fprintf(s, "\n  used: %d MiB at most, %v of CPU", e.Memory>>20, e.CPU)
	}
}

// lastLines returns the last n lines of s.
func lastLines(s string, n int) string {
	s = strings.TrimRight(s, "\n")
	at := len(s)
	for ; n > 0 && at >= 0; n-- {
		at = strings.LastIndexByte(s[:at], '\n')
	}
	return s[at+1:]
}

// Is reports whether target is the sentinel of e's cause, or an error known by
// name that the row's error was in its worker.
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

// Unwrap returns what e was made from in this process, if anything.
func (e *Error) Unwrap() error { return e.wrapped }

// errorWire is what of an Error crosses.
type errorWire struct {
	Func, Message, Stack, Signal, Output string
	Row, Rank, PID, Attempt, ExitCode    int
	Memory                               int64
	CPU                                  time.Duration
	Cause                                Cause
	Known                                []string
}

var errorCodec = func() *wire.Codec[errorWire] {
	c, err := wire.CodecFor[errorWire]()
	if err != nil {
		panic(err)
	}
	return c
}()

// MarshalBinary encodes e for another process of the same build.
func (e *Error) MarshalBinary() ([]byte, error) {
	w := errorWire{
		Func: e.Func, Message: e.Message, Stack: e.Stack, Signal: e.Signal, Row: e.Row, Rank: e.Rank, PID: e.PID,
		Attempt: e.Attempt, ExitCode: e.ExitCode, Output: e.Output, Memory: e.Memory, CPU: e.CPU, Cause: e.Cause, Known: e.names(),
	}
	return errorCodec.Append(nil, &w, nil)
}

// UnmarshalBinary decodes what MarshalBinary made.
func (e *Error) UnmarshalBinary(b []byte) error {
	var w errorWire
	if err := errorCodec.Decode(b, &w, nil); err != nil {
		return fmt.Errorf("xme: decode an error: %w", err)
	}
	*e = Error{
		Func: w.Func, Message: w.Message, Stack: w.Stack, Signal: w.Signal, Row: w.Row, Rank: w.Rank, PID: w.PID,
		Attempt: w.Attempt, ExitCode: w.ExitCode, Output: w.Output, Memory: w.Memory, CPU: w.CPU, Cause: w.Cause, known: w.Known,
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
