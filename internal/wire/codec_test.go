package wire_test

import (
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xenonmp/xme/internal/wire"
)

// same compares with unexported fields, tells nil from empty, and takes NaN for equal to itself.
var same = cmp.Options{
	cmp.Exporter(func(reflect.Type) bool { return true }),
	cmpopts.EquateNaNs(),
	cmp.Comparer(func(a, b big.Int) bool { return a.Cmp(&b) == 0 }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

func codecFor[T any](t testing.TB) wire.Codec[T] {
	t.Helper()
	c, err := wire.CodecFor[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kept runs a value through its codec and demands everything that holds for each sound value: it arrives equal, behind what dst
// held before; Size told the truth if it is said to be exact; nothing aliases src; and no shorter or longer src is taken for it.
func kept[T any](t *testing.T, v T, exact bool) T {
	t.Helper()
	c := codecFor[T](t)
	const before = "before"
	dst, err := wire.Append(c, []byte(before), &v, nil)
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	if !strings.HasPrefix(string(dst), before) {
		t.Errorf("Append wrote over what was there: %q", dst)
	}
	src := dst[len(before):]
	if n := wire.Size(c, &v); (exact || c.Plan.Exact()) && n != len(src) {
		t.Errorf("Size says %d, Append took %d", n, len(src))
	}
	if c.Plan.PointerFree() && len(src) != int(reflect.TypeFor[T]().Size()) {
		t.Errorf("pointer-free, but %d bytes instead of %d", len(src), reflect.TypeFor[T]().Size())
	}
	for n := range src[:min(len(src), 300)] {
		var short T
		if err := wire.Decode(c, src[:n], &short, nil); err == nil {
			t.Errorf("Decode took the first %d of %d bytes", n, len(src))
		}
	}
	var long, out T
	if err := wire.Decode(c, append(src, 0), &long, nil); err == nil {
		t.Error("Decode took one byte too many")
	}
	for shift := range 8 { // at every alignment
		at := append(make([]byte, shift, shift+len(src)), src...)[shift:]
		out = *new(T)
		if err := wire.Decode(c, at, &out, nil); err != nil {
			t.Fatalf("Decode: %v", err)
		}
		for i := range at {
			at[i] = 0xa5
		}
		if d := cmp.Diff(v, out, same); d != "" {
			t.Fatalf("came back different (-sent +received):\n%s", d)
		}
	}
	return out
}

type (
	tree struct {
		Name string
		Kids []tree
		Left *tree
		Meta map[string]*tree
	}
	list  struct{ Next *list }
	nest  []nest
	names map[string]names

	hidden struct { // pointer-free, so its unexported fields cross
		a    int8
		ok   bool
		b    complex128
		rest [3]struct {
			x float32
			y bool
		}
	}
	mixed struct {
		A    uint8
		B    int64
		Name string
		C    bool
		H    hidden
		Tags []string
	}
	base   struct{ ID int }
	number int
	joined struct {
		base
		number
		*mixed
		Name string
	}
	event struct {
		time.Time
		Name string
	}
	parted struct {
		Name string
		skip func()   `xme:"-"`
		Gone chan int `xme:"-"`
		_    func()
		_    [3]byte
		Last int16
	}
	uuid  [16]byte
	pair  struct{ u, v uuid } // pointer-free, but with a marshaler inside
	level int
)

func (u uuid) MarshalBinary() ([]byte, error)  { return append([]byte("u"), u[:]...), nil }
func (u *uuid) UnmarshalBinary(b []byte) error { copy(u[:], b[1:]); return nil }
func (l level) MarshalText() ([]byte, error)   { return []byte(strings.Repeat("!", int(l))), nil }
func (l *level) UnmarshalText(b []byte) error  { *l = level(len(b)); return nil }

func deep(n int) *list {
	l := (*list)(nil)
	for range n {
		l = &list{l}
	}
	return l
}

// feature: S9
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 1, 2, 3, 4, time.FixedZone("", 3600))
	link := url.URL{Scheme: "https", Host: "example.org", Path: "/a b", RawQuery: "q=1"}
	root := tree{
		Name: "root", Kids: []tree{{Name: "kid", Kids: []tree{}}, {}}, Left: &tree{Name: "left"},
		Meta: map[string]*tree{"nil": nil, "m": {Name: "m"}},
	}
	h := hidden{a: -1, ok: true, b: complex(1, math.Inf(-1))}
	h.rest[1].y, h.rest[2].x = true, 1.5

	for name, run := range map[string]func(*testing.T){
		"bool":               func(t *testing.T) { kept(t, true, true) },
		"int":                func(t *testing.T) { kept(t, -42, true) },
		"named int":          func(t *testing.T) { kept(t, time.Duration(-1), true) },
		"float NaN":          func(t *testing.T) { kept(t, math.NaN(), true) },
		"complex":            func(t *testing.T) { kept(t, complex(float32(1), 2), true) },
		"empty struct":       func(t *testing.T) { kept(t, struct{}{}, true) },
		"string":             func(t *testing.T) { kept(t, "grüße\x00\xff", true) },
		"empty string":       func(t *testing.T) { kept(t, "", true) },
		"long string":        func(t *testing.T) { kept(t, strings.Repeat("x", 300), true) },
		"bytes":              func(t *testing.T) { kept(t, []byte{1, 2, 0}, true) },
		"nil bytes":          func(t *testing.T) { kept(t, []byte(nil), true) },
		"empty bytes":        func(t *testing.T) { kept(t, []byte{}, true) },
		"floats":             func(t *testing.T) { kept(t, []float64{1, math.NaN(), math.Inf(1)}, true) },
		"odd sized elements": func(t *testing.T) { kept(t, [][3]byte{{1, 2, 3}, {4, 5, 6}, {7}}, true) },
		"bools":              func(t *testing.T) { kept(t, []bool{true, false, true}, true) },
		"strings":            func(t *testing.T) { kept(t, []string{"a", "", "ccc"}, true) },
		"nil strings":        func(t *testing.T) { kept(t, []string(nil), true) },
		"empty strings":      func(t *testing.T) { kept(t, []string{}, true) },
		"slices of slices":   func(t *testing.T) { kept(t, [][]int{nil, {}, {1, 2}}, true) },
		"array of strings":   func(t *testing.T) { kept(t, [3]string{"a", "", "b"}, true) },
		"array of arrays":    func(t *testing.T) { kept(t, [2][2]bool{{true, false}, {false, true}}, true) },
		"empty array":        func(t *testing.T) { kept(t, [0]string{}, true) },
		"a million of nothing": func(t *testing.T) {
			if n := len(over(t, make([]struct{}, 1_000_000))); n != 1_000_000 {
				t.Errorf("%d arrived", n)
			}
		},
		"nil of nothing":         func(t *testing.T) { kept(t, []struct{}(nil), true) },
		"nil pointer":            func(t *testing.T) { kept(t, (*int)(nil), true) },
		"pointer":                func(t *testing.T) { kept(t, new(7), true) },
		"pointer to pointer":     func(t *testing.T) { kept(t, new((*string)(nil)), true) },
		"pointers":               func(t *testing.T) { kept(t, []*string{nil, new("x")}, true) },
		"nil map":                func(t *testing.T) { kept(t, map[string]int(nil), true) },
		"empty map":              func(t *testing.T) { kept(t, map[string]int{}, true) },
		"map":                    func(t *testing.T) { kept(t, map[string]int{"a": 1, "": 2}, true) },
		"map of floats":          func(t *testing.T) { kept(t, map[int]float64{1: 0.5, -1: 2}, true) },
		"named map":              func(t *testing.T) { kept(t, url.Values{"k": {"v", ""}, "n": nil}, true) },
		"map of structs":         func(t *testing.T) { kept(t, map[[2]int]mixed{{1, 2}: {Name: "x"}, {}: {C: true}}, true) },
		"map of maps":            func(t *testing.T) { kept(t, map[string]map[int8]bool{"a": {1: true}, "b": nil}, true) },
		"nil generic map":        func(t *testing.T) { kept(t, map[int8]bool(nil), true) },
		"empty generic map":      func(t *testing.T) { kept(t, map[int8]bool{}, true) },
		"set of one":             func(t *testing.T) { kept(t, map[struct{}]struct{}{{}: {}}, true) },
		"unexported, no pointer": func(t *testing.T) { kept(t, h, true) },
		"slice of those":         func(t *testing.T) { kept(t, []hidden{h, {}, h}, true) },
		"struct":                 func(t *testing.T) { kept(t, mixed{A: 1, B: 2, Name: "n", C: true, H: h, Tags: []string{"t"}}, true) },
		"slice of structs":       func(t *testing.T) { kept(t, []mixed{{Name: "n"}, {Tags: []string{}}}, true) },
		"embedded":               func(t *testing.T) { kept(t, joined{base{1}, 2, &mixed{Name: "in"}, "out"}, true) },
		"tree":                   func(t *testing.T) { kept(t, root, true) },
		"slice of trees":         func(t *testing.T) { kept(t, []tree{root, {}}, true) },
		"linked list":            func(t *testing.T) { kept(t, deep(500), true) },
		"slice of itself":        func(t *testing.T) { kept(t, nest{{}, nil, {{}}}, true) },
		"map of itself":          func(t *testing.T) { kept(t, names{"a": {"b": nil}, "c": {}}, true) },
		"time":                   func(t *testing.T) { kept(t, at, false) },
		"embedded time":          func(t *testing.T) { kept(t, event{at, "n"}, false) },
		"big int":                func(t *testing.T) { kept(t, new(big.Int).Lsh(big.NewInt(-3), 200), false) },
		"nil big int":            func(t *testing.T) { kept(t, (*big.Int)(nil), false) },
		"map of big ints":        func(t *testing.T) { kept(t, map[string]big.Int{"a": *big.NewInt(1), "b": *big.NewInt(2)}, false) },
		"netip":                  func(t *testing.T) { kept(t, []netip.Addr{netip.MustParseAddr("::1%eth0"), {}}, false) },
		"url":                    func(t *testing.T) { kept(t, &link, false) },
		"marshaler in memory":    func(t *testing.T) { kept(t, []pair{{uuid{1}, uuid{2}}, {}}, false) },
		"text marshaler":         func(t *testing.T) { kept(t, map[level]level{1: 2, 300: 0}, false) },
		"any":                    func(t *testing.T) { kept(t, any("x"), false) },
		"plain values": func(t *testing.T) {
			kept(t, struct{ Args map[string]any }{map[string]any{"n": 1, "x": []float64{1}, "nil": nil}}, false)
		},
		"map with keys of any": func(t *testing.T) { kept(t, map[any]int{1: 1, "a": 2, int8(1): 3, nil: 4}, false) },
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); run(t) })
	}
}

// What is left out arrives as zero, whatever the target held.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	in := parted{Name: "n", skip: func() {}, Gone: make(chan int), Last: 7}
	c := codecFor[parted](t)
	src, err := wire.Append(c, nil, &in, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := parted{Name: "old", Gone: make(chan int)}
	if err := wire.Decode(c, src, &out, nil); err != nil {
		t.Fatal(err)
	}
	if out.Name != "n" || out.Last != 7 || out.Gone != nil || out.skip != nil {
		t.Errorf("got %+v", out)
	}
	type nothing struct {
		f func() `xme:"-"`
	}
	kept(t, []nothing{{}, {}, {}}, true)
	kept(t, map[string]struct {
		F [4]int `xme:"-"`
	}{"a": {}}, true)
}
