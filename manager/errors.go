package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// Errors that this package's calls return or wrap; errors.Is finds them in every process.
var (
	ErrNoKey         = known("ErrNoKey", "no such key")
	ErrType          = known("ErrType", "another type")
	ErrConflict      = known("ErrConflict", "changed in the meantime")
	ErrReserved      = known("ErrReserved", "a reserved key")
	ErrExists        = known("ErrExists", "the name is taken")
	ErrNotFound      = known("ErrNotFound", "nothing has that name")
	ErrReleased      = known("ErrReleased", "released")
	ErrNotAuthorised = known("ErrNotAuthorised", "the operator is not entitled to that")
	ErrNotHolder     = known("ErrNotHolder", "not held by who gives it back")
	// ErrFull says that no call can be queued: the queue is full and nobody empties it.
	ErrFull = known("ErrFull", "the queue is full")
	// ErrGuardStopped says that the guard was stopped, or has ended: nobody runs what would be
	// queued or awaited.
	ErrGuardStopped = known("ErrGuardStopped", "the guard has ended")
	// ErrGuardRuns says that a guard runs, or is being replaced; there can be only one.
	ErrGuardRuns = known("ErrGuardRuns", "a guard runs")
	// ErrGuardLost says that the process that ran a queued function has died: the function may or
	// may not have been done, and is not run again.
	ErrGuardLost = known("ErrGuardLost", "the guard's process is gone")
	// ErrDropped says that a queued call was taken out of the queue and was not run.
	ErrDropped = known("ErrDropped", "taken out of the queue")
	// ErrClosed is returned by a manager that was closed, and by calls on a zero value.
	ErrClosed = known("ErrClosed", "the manager is closed")
	// ErrLost says that the manager's process has died or cannot be reached: what was under way may
	// or may not have been done.
	ErrLost = known("ErrLost", "the manager's process is gone")
	// ErrDeadlock is wrapped by the error of a wait for a lock that ended while it was part of a
	// cycle of waits. It is shm.ErrDeadlock.
	ErrDeadlock = shm.ErrDeadlock
)

func known(name, text string) error {
	err := xme.RegisterError("github.com/xenonmp/xme/manager."+name, errors.New(prefix+text))
	sentinels = append(sentinels, err)
	return err
}

// prefix begins the text of what leaves the package as an error.
const prefix = "manager: "

// errorf is fmt.Errorf for what leaves the package: with the prefix in front, and not again in what it wraps.
func errorf(format string, args ...any) error {
	return fmt.Errorf(prefix+"%w", innerf(format, args...))
}

// innerf is errorf without the prefix, for what another package wraps: a codec names the field.
func innerf(format string, args ...any) error {
	for i, a := range args {
		if err, ok := a.(error); ok && strings.HasPrefix(err.Error(), prefix) {
			args[i] = bareError{err}
		}
	}
	return fmt.Errorf(format, args...)
}

// bareError is an error of the package within another.
type bareError struct{ error }

func (e bareError) Error() string { return strings.TrimPrefix(e.error.Error(), prefix) }

func (e bareError) Unwrap() error { return e.error }

// sentinels are the errors whose identity crosses with a manager's answer, by their number here. They are the same in all processes,
// which run the same program.
var sentinels = []error{
	context.Canceled, context.DeadlineExceeded, errors.ErrUnsupported, io.EOF, xme.ErrEncode, xme.ErrMemory,
	shm.ErrClosed, shm.ErrOwnerDied, shm.ErrNotHeld, shm.ErrDeadlock,
}

// answerError is an error of a manager's as it arrives: its text, which of the sentinels it is, and what a user's function failed with.
type answerError struct {
	Text  string
	Known []int
	Inner []byte // an xme.Error; empty: there is none
	inner error  `xme:"-"`
}

func (e *answerError) Error() string { return e.Text }

func (e *answerError) Is(target error) bool {
	return slices.ContainsFunc(e.Known, func(i int) bool { return i >= 0 && i < len(sentinels) && sentinels[i] == target })
}

func (e *answerError) Unwrap() error { return e.inner }

func answerErrorOf(err error) *answerError {
	e := &answerError{Text: err.Error()}
	for i, s := range sentinels {
		if errors.Is(err, s) {
			e.Known = append(e.Known, i)
		}
	}
	if inner := (*xme.Error)(nil); errors.As(err, &inner) {
		e.Inner = errorBody(inner)
	}
	return e
}

// arrived reads what came inside.
func (e *answerError) arrived() error {
	if len(e.Inner) == 0 {
		return nil
	}
	inner := new(xme.Error)
	if err := inner.UnmarshalBinary(e.Inner); err != nil {
		return err
	}
	e.inner, e.Inner = inner, nil
	return nil
}
