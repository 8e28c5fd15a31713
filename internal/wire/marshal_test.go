package wire_test

import (
	"encoding"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/wire"
)

// Each of these types says which way it went: by its own methods it arrives changed.
type (
	own      struct{ N int } // both methods on the type itself
	ownText  struct{ N int } // text only
	both     struct{ N int } // binary is preferred
	lender   struct{ own }   // inherits all it has
	borrower struct {
		own
		M int
	} // inherits, and has a field of its own
	through struct {
		*own
		M int
	} // inherits from a pointer
	lone struct {
		time.Time
		N int
	} // declares one method, inherits the other
	shadow struct {
		own
		M int
	} // declares both over the inherited ones
	box[T any] struct {
		own
		V T
	} // generic, declares both
	rent[T any] struct {
		own
		V T
	} // generic, inherits
)

func (o own) MarshalBinary() ([]byte, error)     { return []byte{byte(o.N)}, nil }
func (o *own) UnmarshalBinary(b []byte) error    { o.N = 100 + int(b[0]); return nil }
func (o ownText) MarshalText() ([]byte, error)   { return []byte{byte(o.N)}, nil }
func (o *ownText) UnmarshalText(b []byte) error  { o.N = 200 + int(b[0]); return nil }
func (o *both) MarshalBinary() ([]byte, error)   { return []byte{byte(o.N)}, nil }
func (o *both) UnmarshalBinary(b []byte) error   { o.N = 100 + int(b[0]); return nil }
func (o both) MarshalText() ([]byte, error)      { return []byte{byte(o.N)}, nil }
func (o *both) UnmarshalText(b []byte) error     { o.N = 200 + int(b[0]); return nil }
func (lone) MarshalBinary() ([]byte, error)      { return nil, nil }
func (s shadow) MarshalBinary() ([]byte, error)  { return []byte{byte(s.M)}, nil }
func (s *shadow) UnmarshalBinary(b []byte) error { s.M = 100 + int(b[0]); return nil }
func (s *box[T]) MarshalBinary() ([]byte, error) { return []byte{byte(s.N)}, nil }
func (s *box[T]) UnmarshalBinary(b []byte) error { s.N = 100 + int(b[0]); return nil }

var _ encoding.BinaryMarshaler = borrower{} // else the cases below would show nothing

func TestMarshalers(t *testing.T) {
	t.Parallel()
	arrives(t, "own", own{1}, own{101})
	arrives(t, "text", ownText{1}, ownText{201})
	arrives(t, "both", both{1}, both{101})
	arrives(t, "in an array", [2]own{{1}, {2}}, [2]own{{101}, {102}})
	arrives(t, "inherited, alone", lender{own{1}}, lender{own{101}})
	arrives(t, "inherited", borrower{own{1}, 2}, borrower{own{101}, 2})
	arrives(t, "half inherited", lone{time.Unix(1, 0).UTC(), 2}, lone{time.Unix(1, 0).UTC(), 2})
	arrives(t, "shadowed", shadow{own{1}, 2}, shadow{own{}, 102})
	arrives(t, "generic", box[int]{own{1}, 2}, box[int]{own{101}, 0})
	arrives(t, "generic, inherited", rent[int8]{own{1}, 2}, rent[int8]{own{101}, 2})

	got := over(t, through{&own{1}, 2})
	if got.own.N != 101 || got.M != 2 {
		t.Errorf("inherited from a pointer: %+v", got)
	}
	if got := over(t, through{nil, 2}); got.own != nil || got.M != 2 {
		t.Errorf("inherited from a nil pointer: %+v", got)
	}
}

// A keeper breaks the rule that UnmarshalBinary must copy what it keeps.
type keeper struct{ b []byte }

func (k keeper) MarshalBinary() ([]byte, error)    { return k.b, nil }
func (k *keeper) UnmarshalBinary(src []byte) error { k.b = src; return nil }

func TestMarshalerThatKeepsItsInput(t *testing.T) {
	t.Parallel()
	kept(t, keeper{[]byte("kept")}, false)
}

func arrives[T comparable](t *testing.T, name string, v, want T) {
	t.Helper()
	if got := over(t, v); got != want {
		t.Errorf("%s: %+v arrived as %+v, want %+v", name, v, got, want)
	}
}

// over encodes and decodes v.
func over[T any](t *testing.T, v T) (out T) {
	t.Helper()
	c := codecFor[T](t)
	src, err := wire.Append(c, nil, &v, nil)
	if err == nil {
		err = wire.Decode(c, src, &out, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A big.Float keeps its precision and mode of rounding.
func TestBigFloat(t *testing.T) {
	t.Parallel()
	third := new(big.Float).SetPrec(200).SetMode(big.ToZero)
	third.Quo(big.NewFloat(1), big.NewFloat(3))
	c := codecFor[[]*big.Float](t)
	in := []*big.Float{third, big.NewFloat(1).SetPrec(24), new(big.Float).SetInf(true), {}, nil}
	b, err := wire.Append(c, nil, &in, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []*big.Float
	if err := wire.Decode(c, b, &out, nil); err != nil {
		t.Fatal(err)
	}
	for i, f := range in[:4] {
		if g := out[i]; g.Cmp(f) != 0 || g.Prec() != f.Prec() || g.Mode() != f.Mode() {
			t.Errorf("%v of %d bits, %v, became %v of %d, %v", f, f.Prec(), f.Mode(), g, g.Prec(), g.Mode())
		}
	}
	if out[4] != nil {
		t.Error("nil became", out[4])
	}
}

// Two keys that encode themselves alike are an error that says so.
func TestKeysThatEncodeAlike(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := codecFor[map[time.Time]int](t)
	in := map[time.Time]int{now: 1, now.Round(0): 2}
	b, err := wire.Append(c, nil, &in, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out map[time.Time]int
	if err := wire.Decode(c, b, &out, nil); err == nil || !strings.Contains(err.Error(), "two keys that encode themselves alike") {
		t.Errorf("%v: %v", out, err)
	}
}
