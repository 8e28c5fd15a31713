package shm

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/xenonmp/xme"
)

// ErrOwnerDied is wrapped by the error that a lock returns to the next one to get it
// after its holder died: the lock is held nevertheless, and what it guards may be
// half-done.
var ErrOwnerDied = xme.RegisterError("github.com/xenonmp/xme/shm.ErrOwnerDied", errors.New("the last holder died"))

// ErrNotHeld is returned for releasing a lock or permits that the task, or the process
// outside its tasks, does not hold.
var ErrNotHeld = xme.RegisterError("github.com/xenonmp/xme/shm.ErrNotHeld", errors.New("not held by who gives it back"))

// ErrDeadlock is wrapped by the error of a wait that ended while it was part of a cycle
// of waits.
var ErrDeadlock = xme.RegisterError("github.com/xenonmp/xme/shm.ErrDeadlock", errors.New("deadlock"))

// Owner is who holds a lock or waits for one: a task, by the handles that it was given,
// or a process, by those that it made or retained, in a task or not. All goroutines of a
// task are one owner, and so are all of a driver.
type Owner struct {
	PID    int
	Driver bool   // the process that opened the pool
	Rank   int    // of its worker; 0: the driver, or unknown
	Func   string // of its task, up to 39 bytes; empty: not in a task
	Row    int    // of its task; -1: not a row of a stream
}

// String describes the owner, for example: worker 2 (pid 4711) in transfer, row 17.
func (o Owner) String() string {
	var b strings.Builder
	switch {
	case o.PID == 0 && o.Func == "":
		return "an unknown process"
	case o.Rank > 0:
		fmt.Fprintf(&b, "worker %d (pid %d)", o.Rank, o.PID)
	case o.Driver:
		fmt.Fprintf(&b, "the driver (pid %d)", o.PID)
	default:
		fmt.Fprintf(&b, "process %d", o.PID)
	}
	if o.Func != "" {
		b.WriteString(" in " + o.Func)
		if o.Row >= 0 {
			fmt.Fprintf(&b, ", row %d", o.Row)
		}
	} else if o.Rank > 0 {
		b.WriteString(", outside of tasks")
	}
	return b.String()
}

// Holder is who holds a lock.
type Holder struct {
	Owner
	// Since is when a waiter first saw the lock held: it has been held at least since
	// then. Zero: nobody has waited.
	Since time.Time
}

// String describes the owner and, if known, for how long it has held the lock.
func (h Holder) String() string {
	if h.Since.IsZero() {
		return h.Owner.String()
	}
	return fmt.Sprintf("%v, for at least %v", h.Owner, time.Since(h.Since).Round(time.Millisecond))
}

// OwnerDiedError says whose death left a lock behind. It wraps ErrOwnerDied. Whoever gets
// this error holds the lock.
type OwnerDiedError struct {
	What  string // the lock, for example: mutex "accounts"
	Owner Owner
	Ended bool // its process lives: the task returned, or the handle was closed, without releasing the lock
}

// Error says which lock the caller now holds, and who left it.
func (e *OwnerDiedError) Error() string {
	how := "died while it held it"
	if e.Ended {
		how = "ended without giving it back"
	}
	return fmt.Sprintf("shm: %s is yours now, and %v %s: what it guards may be half-done", e.What, e.Owner, how)
}

// Unwrap returns ErrOwnerDied.
func (e *OwnerDiedError) Unwrap() error { return ErrOwnerDied }

// WaitError says why a lock was not obtained, or an awaited event did not come. It wraps
// the context's cause, and ErrDeadlock if there is a cycle.
type WaitError struct {
	What    string // what was waited for, for example: mutex "accounts"
	Err     error  // the context's cause
	Waited  time.Duration
	Holders []Holder // who has it, as far as known
	State   string   // of a semaphore or barrier, for example: 1 of 3 have come
	Cycle   []Wait   // the waits that lead from the waiter back to it; nil: there is no cycle
}

// Wait is one wait in a cycle.
type Wait struct {
	Who  Owner
	For  string // for example: mutex "accounts"
	Held Owner  // who holds it
}

// Error says what was waited for and for how long, why the wait ended, who holds the
// lock, and the cycle if there is one.
func (e *WaitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "shm: waited for %s for %v: %v", e.What, e.Waited.Round(time.Millisecond), e.Err)
	if e.State != "" {
		b.WriteString("; " + e.State)
	}
	for i, h := range e.Holders {
		sep := "; held by "
		if i > 0 {
			sep = ", and "
		}
		b.WriteString(sep + h.String())
	}
	for i, w := range e.Cycle {
		if i == 0 {
			fmt.Fprintf(&b, "; deadlock: %v waits for %s, held by %v", w.Who, w.For, w.Held)
		} else {
			fmt.Fprintf(&b, ", which waits for %s, held by %v", w.For, w.Held)
		}
	}
	return b.String()
}

// Unwrap returns the context's cause, and ErrDeadlock. What the cause says about a lock
// concerns another lock; neither errors.Is nor errors.As finds it, since here it would
// mean that this lock is held, or closed.
func (e *WaitError) Unwrap() []error {
	if len(e.Cycle) > 0 {
		return []error{causeError{e.Err}, ErrDeadlock}
	}
	return []error{causeError{e.Err}}
}

// causeError is why a context has ended, whose own errors may be those of other locks: errgroup ends a context with the first error of its functions.
type causeError struct{ err error }

func (c causeError) Error() string { return c.err.Error() }

// Is finds all but what would say something of this lock, see Hides.
func (c causeError) Is(target error) bool {
	return !c.Hides(target) && errors.Is(c.err, target)
}

// Hides reports whether that is not to be found. (Package xme asks, which looks into errors in its own way.)
func (c causeError) Hides(target error) bool {
	return target == ErrOwnerDied || target == ErrNotHeld || target == ErrDeadlock || target == ErrClosed || target == ErrBroken //nolint:errorlint // identity is meant
}

// Cause returns what is found otherwise.
func (c causeError) Cause() error { return c.err }

// As finds all but who left another lock behind, or broke another barrier.
func (c causeError) As(target any) bool {
	switch target.(type) {
	case **OwnerDiedError, **BarrierError:
		return false
	}
	return errors.As(c.err, target)
}
