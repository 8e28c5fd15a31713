package monitor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
)

type celsius float32

type reading struct {
	Name  string
	Field monitor.Array[float64]
	Raw   []int
}

// roundTrip puts a value, has it sealed and merged, and gets it.
func roundTrip[T any](v T, text string) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		ctx := t.Context()
		keys := monitor.NewKeys(monitor.NewKey())
		a, b := monitor.New(monitor.Options{Keys: keys}), monitor.New(monitor.Options{Keys: keys})
		ok(t, monitor.Set(ctx, a, "k", v))
		sealed, err := a.Marshal(ctx)
		ok(t, err)
		ok(t, b.Unmarshal(ctx, sealed))
		got, err := monitor.Get[T](ctx, b, "k")
		ok(t, err)
		if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", v) { // a NaN is not itself
			t.Errorf("got %#v, want %#v", got, v)
		}
		all, err := b.Messages(ctx, "k")
		ok(t, err)
		if got := string(all["k"].JSON); text != "" && got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
}

// feature: N2
func TestValuesRoundTrip(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"bool":          roundTrip(true, "true"),
		"string":        roundTrip("a\x00\"ü\u2028", ""),
		"int64":         roundTrip(int64(math.MinInt64), "-9223372036854775808"),
		"uint64":        roundTrip(uint64(math.MaxUint64), "18446744073709551615"),
		"float64":       roundTrip(0.1, "0.1"),
		"tiny":          roundTrip(math.SmallestNonzeroFloat64, "5e-324"),
		"float32":       roundTrip(float32(0.1), "0.1"),
		"NaN":           roundTrip(math.NaN(), `"NaN"`),
		"infinity":      roundTrip(math.Inf(-1), `"-Infinity"`),
		"nil":           roundTrip[any](nil, "null"),
		"floats":        roundTrip([]float64{1, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}, `{"$array":"float64","shape":[5],"data":[1,"NaN","Infinity","-Infinity",-0]}`),
		"ints":          roundTrip([]int{1, -2}, `{"$array":"int64","shape":[2],"data":[1,-2]}`),
		"int8s":         roundTrip([]int8{-128}, `{"$array":"int8","shape":[1],"data":[-128]}`),
		"int16s":        roundTrip([]int16{-1}, ""),
		"int32s":        roundTrip([]int32{-1}, ""),
		"int64s":        roundTrip([]int64{math.MaxInt64, math.MinInt64}, ""),
		"uints":         roundTrip([]uint{1}, `{"$array":"uint64","shape":[1],"data":[1]}`),
		"bytes":         roundTrip([]byte{0, 255}, `{"$array":"uint8","shape":[2],"data":[0,255]}`),
		"uint16s":       roundTrip([]uint16{65535}, ""),
		"uint32s":       roundTrip([]uint32{1}, ""),
		"uint64s":       roundTrip([]uint64{math.MaxUint64}, ""),
		"float32s":      roundTrip([]float32{0.1, float32(math.NaN())}, ""),
		"named":         roundTrip([]celsius{0.5}, `{"$array":"float32","shape":[1],"data":[0.5]}`),
		"durations":     roundTrip([]time.Duration{time.Second}, ""),
		"empty":         roundTrip([]float64{}, `{"$array":"float64","shape":[0],"data":[]}`),
		"array":         roundTrip([3]uint8{1, 2, 3}, `{"$array":"uint8","shape":[3],"data":[1,2,3]}`),
		"matrix":        roundTrip([][]float64{{1, 2}, {3, 4}, {5, 6}}, `{"$array":"float64","shape":[3,2],"data":[1,2,3,4,5,6]}`),
		"cube":          roundTrip([][2][]int32{{{1}, {2}}, {{3}, {4}}}, `{"$array":"int32","shape":[2,2,1],"data":[1,2,3,4]}`),
		"empty rows":    roundTrip([][]int{{}, {}}, `{"$array":"int64","shape":[2,0],"data":[]}`),
		"ragged":        roundTrip([][]int{{1}, {2, 3}}, `[{"$array":"int64","shape":[1],"data":[1]},{"$array":"int64","shape":[2],"data":[2,3]}]`),
		"Array":         roundTrip(monitor.Array[float32]{Shape: []int{1, 2, 2}, Data: []float32{1, 2, 3, 4}}, `{"$array":"float32","shape":[1,2,2],"data":[1,2,3,4]}`),
		"scalar Array":  roundTrip(monitor.Array[int]{Shape: []int{}, Data: []int{7}}, `{"$array":"int64","shape":[],"data":[7]}`),
		"Arrays":        roundTrip([]monitor.Array[int8]{{Shape: []int{1}, Data: []int8{7}}}, ""),
		"strings":       roundTrip([]string{"a", ""}, `["a",""]`),
		"IP":            roundTrip(net.IP{10, 0, 0, 1}.To16(), `"10.0.0.1"`),
		"raw":           roundTrip(json.RawMessage(`{"a":[1,2]}`), `{"a":[1,2]}`),
		"time":          roundTrip(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), ""),
		"map":           roundTrip(map[string][]float64{"b": {1}, "a": {}}, ""),
		"int map":       roundTrip(map[int16][]int{-1: {1}}, `{"-1":{"$array":"int64","shape":[1],"data":[1]}}`),
		"struct":        roundTrip(reading{"n", monitor.Array[float64]{Shape: []int{1, 1}, Data: []float64{2}}, []int{1}}, `{"Name":"n","Field":{"$array":"float64","shape":[1,1],"data":[2]},"Raw":[1]}`),
		"pointer":       roundTrip((*int)(nil), "null"),
		"any map":       roundTrip(map[string]any{"i": int64(math.MaxInt64), "u": uint64(math.MaxUint64), "f": 1.5, "big": json.Number("123456789012345678901234567890"), "a": []float32{1}, "m": monitor.Array[int64]{Shape: []int{1, 1}, Data: []int64{1}}, "l": []any{nil, true, "s"}}, ""),
		"huge":          roundTrip[any](json.Number("1e999"), "1e999"),
		"slices of any": roundTrip([]any{[]uint16{1}, map[string]any{}}, `[{"$array":"uint16","shape":[1],"data":[1]},{}]`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// A nil slice of numbers is an array without elements; other nil slices and maps are null.
func TestNilSlices(t *testing.T) {
	t.Parallel()
	ctx, m := t.Context(), monitor.New(monitor.Options{})
	ok(t, m.Update(ctx, monitor.Put("n", []float64(nil)), monitor.Put("s", []string(nil)), monitor.Put("m", map[string]int(nil))))
	all, err := m.Messages(ctx)
	ok(t, err)
	got := string(all["n"].JSON) + string(all["s"].JSON) + string(all["m"].JSON)
	if want := `{"$array":"float64","shape":[0],"data":[]}nullnull`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// feature: N2
func TestUntagged(t *testing.T) {
	t.Parallel()
	ctx, m := t.Context(), monitor.New(monitor.Options{})
	ok(t, m.Update(ctx, monitor.PutJSON("k", []byte(` [ [1, "NaN"], [2.5, 3] ] `)), monitor.PutJSON("b", []byte(`"AAH/"`)), monitor.PutJSON("o", []byte(`{"data":[1,2],"shape":[2],"$array":"int8"}`))))
	got, err := monitor.Get[[2][]float64](ctx, m, "k")
	if err != nil || got[1][0] != 2.5 || !math.IsNaN(got[0][1]) {
		t.Errorf("got %v, %v", got, err)
	}
	flat, err := monitor.Get[[]any](ctx, m, "k")
	if want := []any{[]any{int64(1), "NaN"}, []any{2.5, int64(3)}}; err != nil || !reflect.DeepEqual(flat, want) {
		t.Errorf("got %v, %v", flat, err)
	}
	if b, err := monitor.Get[[]byte](ctx, m, "b"); err != nil || string(b) != "\x00\x01\xff" {
		t.Errorf("got %v, %v: base64 is how others write bytes", b, err)
	}
	for _, get := range []func() (any, error){
		func() (any, error) { return monitor.Get[any](ctx, m, "o") },
		func() (any, error) { return monitor.Get[[]int8](ctx, m, "o") },
	} {
		if v, err := get(); err != nil || !reflect.DeepEqual(v, []int8{1, 2}) {
			t.Errorf("got %#v, %v: the order of an object's keys does not matter", v, err)
		}
	}
}

func getAs[T any](t *testing.T, m *monitor.Monitor) error {
	t.Helper()
	_, err := monitor.Get[T](t.Context(), m, "k")
	return err
}

// feature: N2
func TestOtherTypes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		get  func(*testing.T, *monitor.Monitor) error
		want error
		says []string
	}{
		"elements":       {`{"$array":"float64","shape":[1],"data":[1]}`, getAs[[]float32], monitor.ErrType, []string{"float64", "float32", `"k"`}},
		"sign":           {`{"$array":"int64","shape":[1],"data":[1]}`, getAs[[]uint64], monitor.ErrType, []string{"int64", "uint64"}},
		"rank":           {`{"$array":"int64","shape":[1],"data":[1]}`, getAs[[][]int64], monitor.ErrType, []string{"[1]", "[][]int64"}},
		"length":         {`{"$array":"int64","shape":[2],"data":[1,2]}`, getAs[[3]int64], monitor.ErrType, []string{"[2]", "[3]int64"}},
		"Array elements": {`{"$array":"int64","shape":[2],"data":[1,2]}`, getAs[monitor.Array[int8]], monitor.ErrType, []string{"int64", "int8"}},
		"no array":       {`{"a":1}`, getAs[[]int], monitor.ErrType, nil},
		"a string":       {`"x"`, getAs[[]int], monitor.ErrType, nil},
		"not a number":   {`[true]`, getAs[[]int], monitor.ErrType, nil},
		"nested":         {`[[1]]`, getAs[[]int], monitor.ErrType, nil},
		"fraction":       {`[1.5]`, getAs[[]int], monitor.ErrType, nil},
		"too large":      {`[256]`, getAs[[]byte], monitor.ErrType, nil},
		"too many":       {`[1,2]`, getAs[[1]int], monitor.ErrType, nil},
		"too few":        {`[1]`, getAs[[2]int], monitor.ErrType, nil},
		"scalar":         {`"x"`, getAs[int], monitor.ErrType, nil},
		"float":          {`"x"`, getAs[float64], monitor.ErrType, nil},
		"handle":         {`[1]`, getAs[*manager.List[int]], monitor.ErrType, []string{"*manager.List[int]"}},
		"map":            {`[1]`, getAs[map[string]int], monitor.ErrType, nil},
		"map key":        {`{"x":1}`, getAs[map[int]int], monitor.ErrType, nil},
		"unknown type":   {`{"$array":"complex128","shape":[1],"data":[1]}`, getAs[any], monitor.ErrMalformed, []string{"complex128", "as interface {}"}},
		"mismatch":       {`{"$array":"int8","shape":[2],"data":[1]}`, getAs[any], monitor.ErrMalformed, []string{"[2]"}},
		"overflow":       {`{"$array":"int8","shape":[4294967296,4294967296],"data":[]}`, getAs[any], monitor.ErrMalformed, nil},
		"huge":           {`{"$array":"int8","shape":[99999999999999999999],"data":[]}`, getAs[any], monitor.ErrMalformed, nil},
		"negative":       {`{"$array":"int8","shape":[-1],"data":[]}`, getAs[[]int8], monitor.ErrMalformed, nil},
		"empty but huge": {`{"$array":"int8","shape":[1000000000,0],"data":[]}`, getAs[[][]int8], monitor.ErrMalformed, nil},
		"deep":           {`{"$array":"int8","shape":[` + strings.Repeat("1,", 99) + `1],"data":[1]}`, getAs[any], monitor.ErrMalformed, nil},
		"no data":        {`{"$array":"int8","shape":[1]}`, getAs[[]int8], monitor.ErrType, nil},
		"a key more":     {`{"$array":"int8","shape":[1],"data":[1],"x":1}`, getAs[[]int8], monitor.ErrType, nil},
		"twice":          {`{"$array":"int8","$array":"int8","shape":[1],"data":[1]}`, getAs[any], monitor.ErrMalformed, nil},
		"objects in it":  {`{"$array":"int8","shape":[1],"data":[{}]}`, getAs[any], monitor.ErrMalformed, nil},
		"null in it":     {`{"$array":"float64","shape":[1],"data":[null]}`, getAs[any], monitor.ErrMalformed, nil},
		"range":          {`{"$array":"int8","shape":[1],"data":[128]}`, getAs[any], monitor.ErrType, nil},
		"string in it":   {`{"$array":"int8","shape":[1],"data":["NaN"]}`, getAs[any], monitor.ErrType, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := monitor.NewKeys(monitor.NewKey())
			m := monitor.New(monitor.Options{Keys: keys})
			sealed, err := monitor.Sealer{Keys: keys}.Seal([]byte(`{"k":` + tc.text + `}`))
			ok(t, err)
			ok(t, m.Unmarshal(t.Context(), sealed))
			err = tc.get(t, m)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want one that is %v", err, tc.want)
			}
			for _, s := range tc.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
		})
	}
}

type loop struct{ Next any }

func TestWhatHasNoJSON(t *testing.T) {
	t.Parallel()
	ctx, m := t.Context(), monitor.New(monitor.Options{})
	var ring []any
	ring = append(ring, nil)
	ring[0] = ring
	self := &loop{}
	self.Next = self
	for name, v := range map[string]any{
		"func": func() {}, "channel": make(chan int), "complex": complex(1, 2), "holds itself": ring, "points at itself": self,
		"struct with NaN": struct{ F float64 }{math.NaN()}, "keys": map[float64]int{1: 1}, "bad shape": monitor.Array[int]{Shape: []int{2}, Data: []int{1}},
		"handle inside": map[string]any{"l": struct{ L *manager.List[int] }{&manager.List[int]{}}},
	} {
		if err := monitor.Set(ctx, m, "k", v); !errors.Is(err, xme.ErrEncode) || !strings.Contains(err.Error(), `"k"`) {
			t.Errorf("%s: got %v, want one that is %v and names the key", name, err, xme.ErrEncode)
		}
	}
	for _, text := range []string{"", "{", "1 2", "nul", strings.Repeat("[", 20000), "\"\xff\"", `{"a":1,}`} {
		if err := m.Update(ctx, monitor.PutJSON("k", []byte(text))); !errors.Is(err, monitor.ErrMalformed) {
			t.Errorf("PutJSON(%.20q): got %v", text, err)
		}
	}
	if err := monitor.Set(ctx, m, "\xff", 1); !errors.Is(err, monitor.ErrMalformed) {
		t.Errorf("a key that is no UTF-8: got %v", err)
	}
	if n, err := m.Len(ctx); n != 0 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
}

type nest []nest

// What is nested as deep as JSON may be is read; what is deeper than can be told from what holds itself is not put.
func TestDeep(t *testing.T) {
	t.Parallel()
	const depth = 9990
	ctx, m := t.Context(), monitor.New(monitor.Options{})
	ok(t, m.Update(ctx, monitor.PutJSON("k", []byte(strings.Repeat("[", depth)+strings.Repeat("]", depth))), monitor.PutJSON("o", []byte(strings.Repeat(`{"$":`, depth)+"1"+strings.Repeat("}", depth)))))
	v, err := monitor.Get[any](ctx, m, "k")
	ok(t, err)
	n, err := monitor.Get[nest](ctx, m, "k")
	if err != nil || len(n) != 1 {
		t.Errorf("got %d, %v", len(n), err)
	}
	if _, err := monitor.Get[any](ctx, m, "o"); err != nil {
		t.Error(err)
	}
	for _, v := range []any{v, n} {
		if err := monitor.Set(ctx, m, "k", v); !errors.Is(err, xme.ErrEncode) {
			t.Errorf("got %v", err)
		}
	}
	ok(t, monitor.Set(ctx, m, "k", nest{{}, {{}}}))
}
