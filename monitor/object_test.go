package monitor_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor"
)

// An object of the user's own may have some of an array's keys. With all three and no other it is an array: what is none is refused when it is put, for it could not be
// read.
//
// feature: N2
func TestObjectsThatAreNoArrays(t *testing.T) {
	ctx, m := t.Context(), monitor.New(monitor.Options{})
	for name, v := range map[string]any{
		"a note":           map[string]any{"$array": "float64", "note": "mine"},
		"no data":          map[string]any{"$array": "int8", "shape": []any{"x", int64(1)}},
		"a key more":       map[string]any{"$array": "int8", "shape": []any{nil}, "data": []any{[]any{true}}, "x": nil},
		"of other types":   map[string]any{"$array": int64(1), "data": map[string]any{"$array": nil}},
		"an array's parts": map[string]any{"shape": []int64{1}, "data": []float64{2}},
		"within":           map[string]any{"a": []any{map[string]any{"$array": "x", "data": "y"}}},
	} {
		ok(t, monitor.Set(ctx, m, "k", v))
		got, err := monitor.Get[any](ctx, m, "k")
		if err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("%s: got %#v, %v", name, got, err)
		}
		text, err := json.Marshal(v)
		ok(t, err)
		ok(t, m.Update(ctx, monitor.PutJSON("k", text)))
		if _, err := monitor.Get[any](ctx, m, "k"); err != nil {
			t.Errorf("%s: as JSON: %v", name, err)
		}
	}
	ok(t, m.Clear(ctx))
	type tagged struct {
		Array any   `json:"$array"`
		Shape []any `json:"shape"`
		Data  any   `json:"data"`
	}
	for name, v := range map[string]any{
		"unknown type": map[string]any{"$array": "complex128", "shape": []any{1}, "data": []any{1}},
		"no type":      map[string]any{"$array": 1, "shape": []any{1}, "data": []any{1}},
		"of strings":   map[string]string{"$array": "int8", "shape": "mine", "data": "mine"},
		"mismatch":     map[string]any{"$array": "int8", "shape": []any{2}, "data": []any{1}},
		"range":        map[string]any{"$array": "int8", "shape": []any{1}, "data": []any{128}},
		"nested":       map[string]any{"$array": "int8", "shape": []any{1}, "data": []any{[]any{1}}},
		"an array's":   map[string]any{"$array": "int8", "shape": []any{1}, "data": []int8{1}},
		"within":       map[string]any{"a": []any{1, map[string]any{"$array": 0, "shape": 0, "data": 0}}},
		"a struct":     tagged{"int8", []any{}, nil},
		"raw":          json.RawMessage(`[{"data":1,"\u0024array":2,"shape":3}]`),
		"twice":        json.RawMessage(`{"$array":"int8","shape":[1],"data":[1],"$array":"int8"}`),
	} {
		err := monitor.Set(ctx, m, "k", v)
		if !errors.Is(err, xme.ErrEncode) || !errors.Is(err, monitor.ErrMalformed) || !strings.Contains(err.Error(), `"k"`) || !strings.Contains(err.Error(), "$array, shape and data") {
			t.Errorf("%s: got %v", name, err)
		}
		if name == "within" && !strings.Contains(err.Error(), `key "a": element 1: `) {
			t.Errorf("%s: got %v", name, err)
		}
		text, err := json.Marshal(v)
		ok(t, err)
		if name == "an array's" {
			continue // as encoding/json writes it, it is one
		}
		if err := m.Update(ctx, monitor.PutJSON("k", text)); !errors.Is(err, monitor.ErrMalformed) || !strings.Contains(err.Error(), `"k"`) {
			t.Errorf("%s: PutJSON: got %v", name, err)
		}
	}
	if n, err := m.Len(ctx); n != 0 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
	ok(t, m.Update(ctx, monitor.PutJSON("k", []byte(`[ {"shape" : [1, 2], "d\u0061ta" : ["NaN", 1], "$array" : "float32"} ]`))))
	got, err := monitor.Get[[]any](ctx, m, "k")
	ok(t, err)
	if a, is := got[0].(monitor.Array[float32]); !is || a.At(0, 1) != 1 {
		t.Errorf("got %#v", got)
	}
}
