package xme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"sync"
)

// knownErrors maps the names under which errors cross to the errors.
var knownErrors sync.Map

func init() {
	for name, err := range map[string]error{
		"context.Canceled":         context.Canceled,
		"context.DeadlineExceeded": context.DeadlineExceeded,
		"errors.ErrUnsupported":    errors.ErrUnsupported,
		"io.EOF":                   io.EOF,
		"io.ErrUnexpectedEOF":      io.ErrUnexpectedEOF,
		"fs.ErrExist":              fs.ErrExist,
		"fs.ErrNotExist":           fs.ErrNotExist,
		"fs.ErrPermission":         fs.ErrPermission,
		"fs.ErrClosed":             fs.ErrClosed,
		"os.ErrDeadlineExceeded":   os.ErrDeadlineExceeded,
		"xme.ErrPanic":             ErrPanic,
		"xme.ErrWorkerLost":        ErrWorkerLost,
		"xme.ErrTimeout":           ErrTimeout,
		"xme.ErrMemory":            ErrMemory,
		"xme.ErrEncode":            ErrEncode,
		"xme.ErrDepth":             ErrDepth,
		"xme.ErrClosed":            ErrClosed,
		"xme.ErrInterrupted":       ErrInterrupted,
	} {
		knownErrors.Store(name, err)
	}
}

// RegisterError lets err keep its identity on the way from a worker: errors.Is finds it
// in the error of a row that returned it, wrapped or not. The errors of this package and
// of packages shm, manager, monitor and mpi need no registration, nor do
// [context.Canceled], [context.DeadlineExceeded], [errors.ErrUnsupported], [io.EOF],
// [io.ErrUnexpectedEOF], [fs.ErrExist], [fs.ErrNotExist], [fs.ErrPermission],
// [fs.ErrClosed] and [os.ErrDeadlineExceeded]. Call it at package level, with a unique
// name:
//
//	var ErrNoRoute = xme.RegisterError("example.com/router.ErrNoRoute", errors.New("no route"))
//
// It returns err. It panics if the name is empty or taken, or if err is not comparable. A
// name that only one side knows, because it was not registered at package level, has no
// effect.
func RegisterError(name string, err error) error {
	switch {
	case name == "" || err == nil:
		panic("xme: RegisterError needs a name and an error")
	case !reflect.ValueOf(err).Comparable(): // else to compare it would panic
		panic(fmt.Sprintf("xme: RegisterError(%q): a %T cannot be compared: register a pointer or errors.New", name, err))
	}
	if old, taken := knownErrors.LoadOrStore(name, err); taken && old != err { //nolint:errorlint // identity is meant
		panic(fmt.Sprintf("xme: RegisterError(%q): the name is taken by another error (%v)", name, old))
	}
	return err
}

// names returns the names of the known errors that e is.
func (e *Error) names() []string {
	if e.wrapped == nil {
		return e.known
	}
	names := slices.Clone(e.known)
	knownErrors.Range(func(name, err any) bool {
		if !slices.Contains(names, name.(string)) && is(e.wrapped, err.(error)) {
			names = append(names, name.(string))
		}
		return true
	})
	slices.Sort(names)
	return names
}

// is is errors.Is, and false where a method of err's panics: what a function returns
// must not end its worker.
func is(err, target error) (found bool) {
	defer func() {
		if recover() != nil {
			found = false
		}
	}()
	return errors.Is(err, target)
}

// as is errors.As with the same care.
func as(err error, target any) (found bool) {
	defer func() {
		if recover() != nil {
			found = false
		}
	}()
	return errors.As(err, target)
}

// textOf is err.Error(), and says so where that panics: a nil pointer to an error type, as a
// context's cause, must not end the driver.
func textOf(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a %T whose method Error panics", err)
		}
	}()
	return err.Error()
}

// tamed is an error of a user's that can be asked what it is without a panic.
type tamed struct{ error }

func (t *tamed) Is(target error) bool { return is(t.error, target) }
func (t *tamed) As(target any) bool   { return as(t.error, target) }

// same reports whether two errors are one. Values of a type that cannot be compared are.
func same(a, b error) (is bool) {
	defer func() {
		if recover() != nil {
			is = true
		}
	}()
	return a == b //nolint:errorlint // identity is meant
}

// othersError is why a row was cancelled, if that is the error of another row, or wraps it:
// errors.Is finds it, and whatever the caller has wrapped it in, but not how the other row
// failed.
type othersError struct{ error }

// asOthers returns err, as an othersError if it is one.
func asOthers(err error) error {
	if as(err, new(*Error)) {
		return &othersError{err}
	}
	return err
}

func (o *othersError) Is(target error) (found bool) {
	defer func() {
		if recover() != nil {
			found = false
		}
	}()
	return isBeside(o.error, target)
}

func (o *othersError) As(target any) bool {
	_, whole := target.(**Error)
	return !whole && as(o.error, target)
}

// isBeside is errors.Is, but of an *Error it sees no more than which it is.
func isBeside(err, target error) bool {
	if e, ok := err.(*Error); ok { //nolint:errorlint // the error itself, not one that it wraps
		return error(e) == target //nolint:errorlint // identity is meant
	}
	if reflect.TypeOf(target).Comparable() && err == target { //nolint:errorlint // this is errors.Is
		return true
	}
	if x, ok := err.(interface {
		Hides(target error) bool
		Cause() error
	}); ok { // of package shm
		return !x.Hides(target) && x.Cause() != nil && isBeside(x.Cause(), target)
	}
	if x, ok := err.(interface{ Is(target error) bool }); ok && x.Is(target) {
		return true
	}
	switch x := err.(type) { //nolint:errorlint // the same
	case interface{ Unwrap() error }:
		err = x.Unwrap()
		return err != nil && isBeside(err, target)
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(x.Unwrap(), func(err error) bool { return err != nil && isBeside(err, target) })
	}
	return false
}
