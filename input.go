package xme

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/xenonmp/xme/internal/dump"
)

// read runs the input's loop and passes its panic on.
func (s *stream) read(loop func()) {
	normal := false
	defer func() {
		r := recover()
		var stack string
		if r != nil {
			stack = dump.Panic(debug.Stack())
		}
		_ = s.flush() // whose rows then end with the error
		s.mu.Lock()
		s.readAll = true
		switch {
		case r != nil:
			s.panicked = &inputError{value: r, stack: stack, where: "the input of Map, Unordered or Table"}
		case !normal && s.encoding:
			s.panicked = errGoexitEncoding
		case !normal:
			s.panicked = errGoexit
		}
		s.mu.Unlock()
		s.wakeRanger()
	}()
	loop()
	normal = true
}

// submit submits one row to an executor of somebody's. If that panics, the row ends
// all the same, so that the ranger comes to the panic.
func (s *stream) submit(c *Call) error {
	normal := false
	defer func() {
		if !normal && !c.ended.Load() {
			c.Finish(nil, fmt.Errorf("the executor (a %T) panicked in Submit", s.on))
		}
	}()
	err := submit(s.ctx, s.on, c)
	normal = true
	s.refuse(err)
	return err
}

// inputError is what the panic of an input, or a hook, is raised again with on another
// goroutine: it keeps the value, and the place.
type inputError struct {
	value any
	stack string
	where string
}

func (e *inputError) Error() string {
	return fmt.Sprintf("%v\n\nin %s:\n%s", e.value, e.where, e.stack)
}

// Unwrap returns the value if it is an error, else nil.
func (e *inputError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

var errGoexitEncoding = errors.New("xme: a method that encodes a row's arguments called runtime.Goexit")

var errGoexit = errors.New("xme: the input called runtime.Goexit")
