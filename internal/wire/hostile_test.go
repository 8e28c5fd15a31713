package wire_test

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/wire"
)

// decodes returns the error of decoding src as a T.
func decodes[T any](t testing.TB, src string) error {
	t.Helper()
	var v T
	return wire.Decode(codecFor[T](t), []byte(src), &v, nil)
}

func uvarint(u uint64) string { return string(binary.AppendUvarint(nil, u)) }

// feature: S9
func TestHostileBytes(t *testing.T) {
	t.Parallel()
	type two struct{ A, B string }
	most := uvarint(math.MaxUint64)
	for name, c := range map[string]struct {
		err  error
		want string // in the message
	}{
		"nothing":               {decodes[int](t, ""), "0 bytes encoded where the type takes 8"},
		"too much":              {decodes[int](t, "123456789"), "9 bytes encoded"},
		"left over":             {decodes[string](t, "\x01ab"), "1 bytes left over"},
		"no length":             {decodes[string](t, ""), "ends early"},
		"broken length":         {decodes[string](t, "\x80\x80"), "ends early or holds no length"},
		"length beyond 64 bits": {decodes[string](t, strings.Repeat("\xff", 11)), "holds no length"},
		"long string":           {decodes[two](t, "\x00\x05a"), "two.B: a length of 5"},
		"longest string":        {decodes[string](t, most), "is more than the 0 bytes left"},
		"longest slice":         {decodes[[]string](t, most), "is more than the 0 bytes left"},
		"memory too short":      {decodes[[]int32](t, "\x03abcdefg"), "a length of 2 is more than the 7 bytes"},
		"longest memory":        {decodes[[]int32](t, most), "is more than"},
		"slice too short":       {decodes[[]two](t, "\x03abc"), "a length of 2 is more than the 3 bytes"},
		"element":               {decodes[[]two](t, "\x02\x00\x09"), "[0].B: a length of 9"},
		"nothing, endless":      {decodes[[]struct{}](t, uvarint(1<<30+2)), "a length of 1073741825"},
		"nothing, longest":      {decodes[[]struct{}](t, most), "a length of"},
		"pointer's flag":        {decodes[*int](t, "\x02"), "byte 2 where a pointer"},
		"pointer to nothing":    {decodes[*int](t, "\x01"), "ends early"},
		"map too short":         {decodes[map[string]int](t, "\x03"+strings.Repeat("x", 17)), "a length of 2"},
		"longest map":           {decodes[map[int8]bool](t, most), "is more than"},
		"key twice":             {decodes[map[int8]bool](t, "\x03\x01\x00\x01\x00"), "a key twice"},
		"string key twice":      {decodes[map[string]string](t, "\x03\x00\x00\x00\x00"), "a key twice"},
		"keys without size":     {decodes[map[struct{}]struct{}](t, "\x03"), "no size"},
		"endless, no size":      {decodes[map[struct{}]struct{}](t, uvarint(1<<30)), "no size"},
		"key that cannot be":    {decodes[map[any]int8](t, "\x02\x01\x80\x00"), "[0]: a map's key that cannot be one"},
		"key of an array":       {decodes[map[[1]any]int8](t, "\x02\x01\x80\x00"), "cannot be one"},
		"marshaler's bytes":     {decodes[time.Time](t, "\x01\x07"), "time.Time.UnmarshalBinary"},
		"marshaler's text":      {decodes[big.Int](t, "\x01x"), "big.Int.UnmarshalText"},
		"marshaler's length":    {decodes[time.Time](t, most), "is more than"},
		"marshaler's panic":     {decodes[uuid](t, "\x00"), "uuid.UnmarshalBinary: panic: runtime error"},
		"array":                 {decodes[[2]string](t, "\x00\x07"), "[1]: a length of 7"},
		"too deep":              {decodes[*list](t, strings.Repeat("\x01", 10_001)), "deeper than 10000"},
		"far too deep":          {decodes[*list](t, strings.Repeat("\x01", 10_000_000)), "deeper than 10000"},
		"slices too deep":       {decodes[nest](t, strings.Repeat("\x02", 1_000_000)), "deeper than 10000"},
		"maps too deep":         {decodes[names](t, strings.Repeat("\x02\x00", 100_000)), "deeper than 10000"},
	} {
		var ve *wire.ValueError
		if !errors.As(c.err, &ve) || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, c.err, c.want)
		}
		if c.err != nil && len(c.err.Error()) > 1000 {
			t.Errorf("%s: an error of %d bytes", name, len(c.err.Error()))
		}
	}
}

type counted map[int8]counted

// Claims of more than is there cost no memory.
func TestHostileLengthsAllocateNothing(t *testing.T) {
	big := uvarint(1 << 29)
	for name, decode := range map[string]func() error{
		"strings": func() error { return decodes[[]string](t, big+"abc") },
		"memory":  func() error { return decodes[[]float64](t, big+"abc") },
		"map":     func() error { return decodes[map[string]int](t, big+"abc") },
		"maps":    func() error { return decodes[map[int8]string](t, big+"abc") },
		"nothing": func() error { return decodes[[]struct{}](t, big+"abc") },
		"left out": func() error {
			return decodes[[]struct {
				F [1000]int `xme:"-"`
			}](t, big+"abc")
		},
		"any": func() error { return decodes[any](t, "\x05\x9a\x7f\xff\xff\xff") },
		// Each level claims nearly all bytes that are left: the same bytes, level after level.
		"nested slices": func() error { return decodes[nest](t, strings.Repeat("\x7f", 2600)) },
		"nested maps":   func() error { return decodes[counted](t, strings.Repeat("\x7f\x00", 2600)) },
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := decode()
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<18 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

// A bool has one bit; the byte that a peer sends for it has eight.
func TestBoolsNormalised(t *testing.T) {
	t.Parallel()
	again(t, "\x02", "\x01", decodeTo[bool])
	again(t, "\x04\x00\x01\xff", "\x04\x00\x01\x01", decodeTo[[]bool])
	again(t, "\x07\xd9\xe0\x0a\x43\x00\x01\x02", "\x07\xd9\xe0\x0a\x43\x00\x01\x01", decodeTo[any]) // []bool
	type deep struct {
		N int8
		A [2][2]struct {
			B int8
			C [2]bool
		}
	}
	again(t, "\x09\x09\x02\x03\x09\x00\x04\x09\x05\x01\x09\x80\xff", "\x09\x09\x01\x01\x09\x00\x01\x09\x01\x01\x09\x01\x01", decodeTo[deep])
	type run struct {
		A int8
		B bool
		S string
		C bool
	}
	again(t, "\x03\x09\x07\x00\x08\x09\x01\x00\x09", "\x03\x09\x01\x00\x01\x09\x01\x00\x01", decodeTo[[]run])
}

func decodeTo[T any](t *testing.T, src string) string {
	c := codecFor[T](t)
	var v T
	if err := wire.Decode(c, []byte(src), &v, nil); err != nil {
		t.Fatal(err)
	}
	out, err := wire.Append(c, nil, &v, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func again(t *testing.T, src, want string, decode func(*testing.T, string) string) {
	t.Helper()
	if got := decode(t, src); got != want {
		t.Errorf("%q came back as %q, want %q", src, got, want)
	}
}

// A value that cannot be encoded leaves dst as it was and says where it went wrong.
func TestValueErrors(t *testing.T) {
	t.Parallel()
	type ring struct {
		Name       string
		Prev, Next *ring
	}
	a, b := &ring{Name: "a"}, &ring{Name: "b"}
	a.Prev, a.Next, b.Prev, b.Next = b, b, a, a
	slices := nest{nil}
	slices[0] = slices
	maps := names{}
	maps["again"] = maps
	type args struct {
		Rows []map[string]*struct{ V any }
	}
	bad := args{[]map[string]*struct{ V any }{nil, {"k": {make(chan int)}}}}
	for name, c := range map[string]struct {
		err        error
		path, want string
	}{
		"cycle":          {encodes(t, a), `Prev.Prev.Prev`, "deeper than 10000 levels: is there a cycle?"},
		"cycle by slice": {encodes(t, slices), `nest[0][0]`, "cycle"},
		"cycle by map":   {encodes(t, maps), `names["again"]["again"]`, "cycle"},
		"deep list":      {encodes(t, deep(10_001)), "Next.Next", "deeper than 10000"},
		"inside any":     {encodes(t, bad), `args.Rows[1]["k"].V`, "a chan int: only plain values cross inside any; make it a typed field"},
		"marshaler":      {encodes(t, []big.Float{}), "", ""},
		"marshal error":  {encodes(t, []angry{0, 1}), "[1]", "angry.MarshalText: no"},
		"marshal panic":  {encodes(t, map[string]angry{"x": 2}), `["x"]`, "panic: 2"},
		"endless":        {encodes(t, make([]struct{}, 1<<30+1)), "", "elements without size"},
	} {
		if c.want == "" {
			if c.err != nil {
				t.Errorf("%s: %v", name, c.err)
			}
			continue
		}
		var ve *wire.ValueError
		if !errors.As(c.err, &ve) || !strings.HasPrefix(ve.Path, c.path) || !strings.Contains(ve.Error(), c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
		if c.err != nil && len(c.err.Error()) > 1000 {
			t.Errorf("%s: an error of %d bytes", name, len(c.err.Error()))
		}
	}
	if err := encodes(t, deep(10_000)); err != nil {
		t.Errorf("10,000 levels: %v", err)
	}
}

type angry int

func (a angry) MarshalText() ([]byte, error) {
	switch a {
	case 1:
		return nil, errors.New("no")
	case 2:
		panic(a)
	}
	return nil, nil
}

func (*angry) UnmarshalText([]byte) error { return nil }

func encodes[T any](t *testing.T, v T) error {
	t.Helper()
	c := codecFor[T](t)
	const before = "what was there"
	dst, err := wire.Append(c, append(make([]byte, 0, 100), before...), &v, nil)
	if err != nil && string(dst) != before {
		t.Errorf("dst became %q", dst)
	}
	wire.Size(c, &v) // ends, whatever v is
	return err
}
