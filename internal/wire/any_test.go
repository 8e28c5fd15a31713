package wire_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/wire"
)

// feature: S9
func TestAnyKeepsTypes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 1, 2, 3, 4, time.FixedZone("", -3600))
	for _, v := range []any{
		nil, true, false, "", "text", "no utf-8 \xff", strings.Repeat("long", 100),
		0, 23, 24, -1, -24, -25, 255, 256, 65535, 65536, math.MaxInt32 + 1, math.MinInt, math.MaxInt,
		int8(-8), int16(16), int32(-32), int64(math.MinInt64), uint(1), uint8(8), uint16(16), uint32(32), uint64(math.MaxUint64),
		1.5, math.Inf(-1), math.NaN(), math.Copysign(0, -1), float32(0.1), complex64(1i), complex(2, math.Inf(1)), time.Minute, at,
		[]byte{},
		[]byte{1},
		[]byte(nil),
		[]any{},
		[]any{1, "two", []any{nil, 3.0}, map[string]any{"k": int8(1)}},
		[]any(nil),
		[]string{},
		[]string{"", "a"},
		[]string(nil),
		[]bool{true, false},
		[]int{1, -1},
		[]int{},
		[]int(nil),
		[]int8{1},
		[]int64{1},
		[]uint{2},
		[]uint16{3},
		[]uint64{math.MaxUint64},
		[]float32{1},
		[]float64{1, math.NaN()},
		[]complex64{2},
		[]complex128{3},
		[]time.Duration{time.Hour},
		map[string]any{},
		map[string]any{"": nil, "a": []any{map[string]any{"b": uint(1)}}, "at": at},
		map[string]any(nil),
		map[any]any{},
		map[any]any{1: "a", "1": 2, int8(1): nil, nil: 3, 1.5: []any{map[any]any{true: at}}},
		map[any]any(nil),
		map[string]string{"a": "b"},
		map[string]string{},
		map[string]string(nil),
		map[string]int{"a": 1, "b": -1},
		map[string]bool{"t": true},
		map[string]float64{},
		map[string]uint8{"x": 1},
		map[string]time.Duration{"d": 1},
		map[string]int(nil),
		map[string]complex128{"c": 1i},
	} {
		t.Run(fmt.Sprintf("%T %.20v", v, v), func(t *testing.T) {
			t.Parallel()
			out := kept(t, v, false)
			if reflect.TypeOf(out) != reflect.TypeOf(v) {
				t.Errorf("a %T arrived as a %T", v, out)
			}
			kept(t, struct {
				S []any
				M map[string]any
				A [2]any
			}{[]any{v, v}, map[string]any{"k": v}, [2]any{1: v}}, false)
		})
	}
}

// feature: S9
func TestAnyRefuses(t *testing.T) {
	t.Parallel()
	type named string
	cycle := []any{nil}
	cycle[0] = cycle
	knot := map[string]any{}
	knot["k"] = map[any]any{1: knot}
	type args struct{ Args map[string]any }
	for name, c := range map[string]struct {
		v          any
		path, what string
	}{
		"struct":       {struct{ A int }{}, "", "struct { A int }"},
		"named string": {named("x"), "", "wire_test.named"},
		"named number": {time.March, "", "time.Month"},
		"pointer":      {new(int), "", "*int"},
		"big int":      {big.NewInt(1), "", "*big.Int"},
		"channel":      {[]any{1, make(chan int)}, "[1]", "chan int"},
		"function":     {map[string]any{"f": func() {}}, `["f"]`, "func()"},
		"file":         {map[any]any{"a": []any{os.Stdin}}, `["a"][0]`, "*os.File"},
		"odd key":      {map[any]any{struct{}{}: 1}, `[{}]`, "struct {}"},
		"array":        {[2]int{}, "", "[2]int"},
		"other slice":  {[][]int{{1}}, "", "[][]int"},
		"other map":    {map[int]string{}, "", "map[int]string"},
		"error":        {errors.New("x"), "", "*errors.errorString"},
		"uintptr":      {uintptr(1), "", "uintptr"},
		"cycle":        {cycle, "[0][0]", "cycle"},
		"knot":         {knot, `["k"][1]["k"]`, "cycle"},
	} {
		err := encodes(t, c.v)
		var ve *wire.ValueError
		if !errors.As(err, &ve) || !strings.HasPrefix(ve.Path, c.path) || !strings.Contains(ve.Reason, c.what) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil || !strings.Contains(err.Error(), "cycle") && !strings.Contains(err.Error(), "only plain values cross inside any; make it a typed field") {
			t.Errorf("%s: %v", name, err)
		}
		err = encodes(t, args{map[string]any{"x": c.v}})
		if !errors.As(err, &ve) || !strings.HasPrefix(ve.Path, `args.Args["x"]`+c.path) {
			t.Errorf("%s, as an argument: %v", name, err)
		}
	}
}

func TestAnyDepth(t *testing.T) {
	t.Parallel()
	nested := func(levels int, wrap func(any) any) (v any) {
		for range levels {
			v = wrap(v)
		}
		return v
	}
	for name, wrap := range map[string]func(any) any{
		"slices":      func(v any) any { return []any{v} },
		"maps":        func(v any) any { return map[string]any{"k": v} },
		"maps of any": func(v any) any { return map[any]any{1: v} },
	} {
		if !reflect.DeepEqual(nested(10_000, wrap), over(t, nested(10_000, wrap))) {
			t.Errorf("%s: 10,000 levels arrived different", name)
		}
		if err := encodes(t, nested(10_002, wrap)); err == nil || !strings.Contains(err.Error(), "deeper than 10000") {
			t.Errorf("%s: 10,002 levels: %v", name, err)
		}
	}
}

func TestHostileAny(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ cbor, want string }{
		"not CBOR":               {"\xff", "not a value of type any"},
		"short":                  {"\x82\x01", "not a value"},
		"two items":              {"\x01\x01", "not a value"},
		"endless array":          {"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", "not a value"},
		"indefinite":             {"\x9f\xff", "indefinite-length"},
		"big number":             {"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "where an int belongs"},
		"big negative":           {"\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "big.Int does not make"},
		"bignum":                 {"\xc2\x41\x01", "bignum"},
		"time of CBOR's":         {"\xc1\x01", "time.Time does not make"},
		"simple value":           {"\xe0", "SimpleValue"},
		"number as key":          {"\xa1\x01\x02", "not a value"},
		"unknown tag":            {"\xd9\x80\x00\x01", "tag 32768"},
		"tag in a tag":           {"\xd9\xe0\x10\xd9\xe0\x10\x41\x01", "a tag upon a tag"},
		"time":                   {"\xd9\xe0\x01\x41\x01", "time.Time"},
		"time of nothing":        {"\xd9\xe0\x01\x01", "time.Time"},
		"odd pairs":              {"\xd9\xe0\x02\x81\x01", "map[any]any"},
		"pairs of none":          {"\xd9\xe0\x02\x01", "map[any]any"},
		"array as key":           {"\xd9\xe0\x02\x82\x80\x01", "a []interface {} is a map's key"},
		"key twice":              {"\xd9\xe0\x02\x84\x01\x01\x01\x01", "twice"},
		"nil of no type":         {"\xd9\xe0\x00\x18\x20", "does not make nil"},
		"nil of nothing":         {"\xd9\xe0\x00\xf6", "does not make nil"},
		"inside":                 {"\x82\x01\xa1\x61k\xe0", `[1]["k"]: a cbor.SimpleValue`},
		"deep":                   {strings.Repeat("\x81", 25_000) + "\x01", "exceeded max nested level"},
		"deep, but not for CBOR": {strings.Repeat("\x81", 15_000) + "\x01", "deeper than 10000"},
		"tags upon tags":         {strings.Repeat("\xc6", 1_000_000) + "\x01", "a tag upon a tag"},
		"tag in an element":      {"\x82\x63abc\xd9\xe0\x10\xc1\x00", "a tag upon a tag"},
		"tag behind a long text": {"\x82\x79\x01\x00" + strings.Repeat("\xc1", 256) + "\xe0", "SimpleValue"},
	} {
		err := decodes[any](t, uvarint(uint64(len(c.cbor)))+c.cbor)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	// Every tag of the table with every kind of content that does not belong to it: an error or a sound value, never a panic.
	for tag := range 70 {
		for _, content := range []string{
			"\x00", "\x18\xff", "\x20", "\x40", "\x43abc", "\x61a", "\x80", "\x81\x01", "\x82\x80\x40",
			"\x82\x81\x61a\x40", "\x82\x01\x02", "\x82\x82\x61a\x61a\x42ab", "\xa0", "\xa1\x61a\x01", "\xf6", "\xf5", "\xfa\x00\x00\x00\x00",
		} {
			item := "\xd9\xe0" + string([]byte{byte(tag)}) + content
			var v any
			c := codecFor[any](t)
			if err := wire.Decode(c, []byte(uvarint(uint64(len(item)))+item), &v, nil); err == nil {
				kept(t, v, false)
			}
		}
	}
}
