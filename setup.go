package xme

import (
	"context"
	"fmt"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

// setupCall is a pool's set-up call, encoded once. Its files are duplicated for
// every worker.
type setupCall struct {
	name   string
	fn     uint16
	body   []byte
	parcel *wire.Parcel
}

// newSetupCall makes a set-up call of a function, with arguments that encode appends.
func newSetupCall(fn *function, opts *CallOptions, o Options, encode func(dst []byte, p *wire.Parcel) ([]byte, error)) (*setupCall, error) {
	if name := opts.first(); name != "" {
		err := unsupported("option " + name + " of a set-up function")
		return nil, &Error{Func: fn.name, Row: -1, Attempt: 1, Cause: CauseUnsupported, Message: err.Error(), wrapped: err}
	}
	s := &setupCall{name: fn.name, fn: fn.index, parcel: &wire.Parcel{Most: worthEncoding(o.MaxMessage)}}
	body, err := encode(appendMeta(nil, -1, seedOf(o.Seed, 0)), s.parcel)
	if n := len(body) - metaSize; err == nil && n > o.MaxMessage {
		err = tooLarge("value", n, o.MaxMessage)
	}
	if err != nil {
		s.parcel.Close()
		return nil, &Error{Func: s.name, Row: -1, Attempt: 1, Cause: CauseEncode, Message: "argument: " + textOf(err), wrapped: err}
	}
	s.body = body
	return s, nil
}

// row makes the row for one worker.
func (s *setupCall) row() (*link.Row, error) {
	parcel, err := s.parcel.Clone()
	if err != nil {
		return nil, fmt.Errorf("the files of the set-up function: %w", err)
	}
	return &link.Row{Func: s.fn, Alone: true, Body: s.body, Parcel: parcel, Owner: &setupError{name: s.name}}, nil
}

// setupError owns one worker's set-up row, and is how it failed once it has.
type setupError struct {
	name string
	err  *Error
}

// End implements link.Owner.
func (s *setupError) End(o link.Outcome, _ bool) bool {
	c := Call{fn: &function{name: s.name}, index: -1, opts: &CallOptions{}, ctx: context.Background()}
	s.err = c.errorOf(o)
	return false
}

func (s *setupError) Error() string { return s.err.Error() }
func (s *setupError) Unwrap() error { return s.err }
