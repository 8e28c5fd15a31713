package xme

import (
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

// setup is one worker's set-up row. It is an error once it has failed.
type setup struct {
	row    link.Row
	name   string
	parcel wire.Parcel
	err    *Error
}

func newSetup[In, Out any](f *Func[In, Out], in In) (*setup, error) {
	s := &setup{name: f.fn.name}
	body, err := f.in.Append(appendMeta(nil, -1, seedOf(defaultSeed, 0)), &in, &s.parcel)
	if err != nil {
		s.parcel.Close()
		return nil, &Error{Func: f.fn.name, Row: -1, Cause: CauseEncode, Message: "argument: " + err.Error(), wrapped: err}
	}
	s.row = link.Row{Func: f.fn.index, Alone: true, Body: body, Owner: s}
	if len(s.parcel.Items) > 0 {
		s.row.Parcel = &s.parcel
	}
	return s, nil
}

// End implements link.Owner.
func (s *setup) End(o link.Outcome) {
	c := Call{fn: &function{name: s.name}, index: -1}
	s.err = c.errorOf(o)
}

func (s *setup) Error() string { return s.err.Error() }
func (s *setup) Unwrap() error { return s.err }
