package wire_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xenonmp/xme/internal/wire"
)

// A token stands for a row of a table that both sides hold, as a shared array or an object does.
type token struct{ row *string }

var tokens = map[string]*string{"one": new("the first"), "two": new("the second")}

func init() {
	wire.RegisterHandle(wire.Handle[token]{
		Append: func(dst []byte, v token, _ *wire.Parcel) ([]byte, error) {
			for name, row := range tokens {
				if row == v.row {
					return append(dst, name...), nil
				}
			}
			if *v.row == "" { // panics on nil
				return dst, errors.ErrUnsupported
			}
			return append(dst, strings.Repeat("x", 200)...), nil
		},
		Decode: func(src []byte, _ *wire.Parcel) (token, error) {
			if row := tokens[string(src)]; row != nil {
				return token{row}, nil
			}
			return token{}, fmt.Errorf("no token %d long", len(src))
		},
	})
}

func TestHandle(t *testing.T) {
	t.Parallel()
	one, two := token{tokens["one"]}, token{tokens["two"]}
	in := map[string][]*token{"a": {&one, nil}, "b": {&two}}
	out := over(t, in)
	if out["a"][0].row != one.row || out["a"][1] != nil || out["b"][0].row != two.row {
		t.Errorf("got %v", out)
	}
	if err := encodes(t, []token{one, {}}); err == nil || !strings.HasPrefix(err.Error(), "[1]: cannot hand it over: panic: ") {
		t.Errorf("a panic gives %v", err)
	}
	if err := encodes(t, token{new("")}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("the cause is lost: %v", err)
	}
	// 200 bytes need two for their length, which is not known when they are written.
	c := codecFor[token](t)
	src, err := wire.Append(c, nil, new(token{new("long")}), nil)
	if err != nil || len(src) != 202 {
		t.Fatalf("%d bytes, %v", len(src), err)
	}
	if err := wire.Decode(c, src, new(token), nil); err == nil || !strings.Contains(err.Error(), "no token 200 long") {
		t.Errorf("got %v", err)
	}
	if err := wire.Decode(c, []byte{0}, new(token), nil); err == nil {
		t.Error("a token that is no pointer came as nil")
	}
}

func TestRegisterHandleTwice(t *testing.T) {
	t.Parallel()
	defer func() {
		if r := fmt.Sprint(recover()); !strings.Contains(r, "wire_test.token is registered as a handle twice") {
			t.Errorf("recovered %s", r)
		}
	}()
	wire.RegisterHandle(wire.Handle[token]{})
}
