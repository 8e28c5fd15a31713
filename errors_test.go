package xme_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

type (
	badIsError     struct{}
	badUnwrapError struct{}
	badAsError     struct{}
	many           []string // cannot be compared
	holder         struct{ v any }
)

func (badIsError) Error() string     { return "bad is" }
func (badIsError) Is(error) bool     { panic("in Is") }
func (badUnwrapError) Error() string { return "bad unwrap" }
func (badUnwrapError) Unwrap() error { panic("in Unwrap") }
func (badAsError) Error() string     { return "bad as" }
func (badAsError) As(any) bool       { panic("in As") }
func (m many) Error() string         { return strings.Join(m, ", ") }
func (m many) Is(err error) bool     { return err == error(m) } // panics, as it is meant to
func (h holder) Error() string       { return fmt.Sprint(h.v) }

var errHeld = xme.RegisterError("github.com/xenonmp/xme_test.errHeld", holder{1})

var odd = xme.Register("odd", func(_ context.Context, how string) (int, error) {
	switch how {
	case "is":
		return 0, badIsError{}
	case "unwrap":
		return 0, badUnwrapError{}
	case "as":
		return 0, badAsError{}
	case "many":
		return 0, many{"a", "b"}
	case "known":
		return 0, fmt.Errorf("first: %w", errors.Join(io.EOF, errHeld, badIsError{}))
	case "panic":
		panic(badIsError{})
	case "controls":
		return 0, errors.New("a\tb\nc\x1b[31m\u009b2J\x9b\u2028d\xff é")
	case "bytes":
		return 0, errors.New("no UTF-8: \x9b\u00e9")
	case "empty":
		return 0, errors.New("")
	}
	return 0, nil
})

// Methods of a returned error that panic end neither the worker nor the row otherwise than with the error.
//
// feature: S12
func TestErrorsWithMethodsThatPanic(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	for on, x := range map[string]xme.Executor{"pool": pool, "inline": xme.Inline()} {
		for how, text := range map[string]string{"is": "bad is", "unwrap": "bad unwrap", "as": "bad as", "many": "a, b"} {
			_, err := odd.Call(t.Context(), x, how)
			var e *xme.Error
			if !errors.As(err, &e) || e.Cause != xme.CauseReturned || e.Message != text {
				t.Errorf("%s, %s: %v; want it returned, with the text %q", on, how, err, text)
			}
			if errors.Is(err, io.EOF) || errors.Is(err, many{"a", "b"}) {
				t.Errorf("%s, %s: %v is what it is not", on, how, err)
			}
		}
		_, err := odd.Call(t.Context(), x, "known")
		if !errors.Is(err, io.EOF) || !errors.Is(err, errHeld) || errors.Is(err, holder{2}) || errors.Is(err, holder{[]int{1}}) {
			t.Errorf("%s: known errors beside one that panics: %v", on, err)
		}
		if _, err := odd.Call(t.Context(), x, "panic"); !errors.Is(err, xme.ErrPanic) || !strings.Contains(err.Error(), "bad is") {
			t.Errorf("%s: panic with such an error: %v", on, err)
		}
	}
	if s := pool.Stats(); s.Deaths != 0 {
		t.Errorf("%d workers died", s.Deaths)
	}
	// Inline has the error itself.
	_, err := odd.Call(t.Context(), xme.Inline(), "many")
	if found := many(nil); !errors.As(err, &found) || len(found) != 2 {
		t.Errorf("errors.As finds %v in %v", found, err)
	}
}

// An error prints as one line that drives no terminal.
//
// feature: S12
func TestErrorLine(t *testing.T) {
	t.Parallel()
	for how, want := range map[string]string{
		"controls": `odd: a	b\x0ac\x1b[31m\u009b2J\x9b\u2028d\xff é`,
		"bytes":    `no UTF-8: \x9bé`,
		"empty":    "odd: error",
	} {
		if _, err := odd.Call(t.Context(), xme.Inline(), how); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %q, want %q at its end", how, err, want)
		}
	}
}

// feature: S12
func TestErrorCrosses(t *testing.T) {
	t.Parallel()
	in := &xme.Error{Func: "a.b", Row: 3, Rank: 2, PID: 7, Attempt: 2, Cause: xme.CauseTimeout, Message: "m", Stack: "s", ExitCode: -1, Signal: "SIGKILL"}
	b, err := in.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var out xme.Error
	if err := out.UnmarshalBinary(b); err != nil || fmt.Sprintf("%+v", &out) != fmt.Sprintf("%+v", in) || out.Signal != in.Signal || out.ExitCode != -1 {
		t.Errorf("%+v, %v", &out, err)
	}
	for target, want := range map[error]bool{xme.ErrTimeout: true, context.DeadlineExceeded: true, xme.ErrPanic: false, fs.ErrNotExist: false, nil: false} {
		if errors.Is(&out, target) != want {
			t.Errorf("is %v: %t", target, !want)
		}
	}
	for n := range b {
		if err := new(xme.Error).UnmarshalBinary(b[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are taken for an error", n, len(b))
		}
	}
	strange := &xme.Error{Cause: 200, Row: -1}
	if strange.Error() != "xme: : cause 200" || errors.Is(strange, xme.ErrPanic) || (&xme.Error{Cause: xme.CauseReturned}).Is(nil) {
		t.Errorf("an unknown cause: %v", strange)
	}
}

// feature: S12
func TestRegisterErrorRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		name string
		err  error
		want string
	}{
		"no name":             {"", io.EOF, "needs a name"},
		"no error":            {"x", nil, "needs a name and an error"},
		"slice":               {"x", many{}, "a xme_test.many cannot be compared"},
		"slice out of sight":  {"x", holder{[]int{1}}, "a xme_test.holder cannot be compared"},
		"taken":               {"io.EOF", io.ErrUnexpectedEOF, "the name is taken by another error (EOF)"},
		"its own name, again": {"io.EOF", io.EOF, "<nil>"},
	} {
		func() {
			defer func() {
				if r := fmt.Sprint(recover()); !strings.Contains(r, tc.want) {
					t.Errorf("%s: panic %s, want %q in it", name, r, tc.want)
				}
			}()
			if err := xme.RegisterError(tc.name, tc.err); err != tc.err { //nolint:errorlint // identity is meant
				t.Errorf("%s: returned %v", name, err)
			}
		}()
	}
}
