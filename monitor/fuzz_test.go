package monitor_test

import (
	"encoding/hex"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/xenonmp/xme/monitor"
)

// feature: N2
func FuzzOpen(f *testing.F) {
	var all []vector
	if err := json.Unmarshal(vectorText(f), &all); err != nil {
		f.Fatal(err)
	}
	var keys []monitor.Key
	for _, v := range all {
		key, err := monitor.ParseKey(v.Key)
		ok(f, err)
		keys = append(keys, key)
		sealed, err := hex.DecodeString(v.Sealed)
		ok(f, err)
		f.Add(sealed)
	}
	ring := monitor.NewKeys(keys[0], keys[1:]...)
	f.Fuzz(func(t *testing.T, sealed []byte) {
		o := &monitor.Opener{Keys: ring, Context: "vectors", Limit: 1 << 16}
		text, _, err := o.Open(sealed)
		if err != nil && !refused(err) {
			t.Errorf("got %v", err)
		}
		if len(text) > 1<<16 {
			t.Errorf("%d bytes, above the limit", len(text))
		}
		_, _ = monitor.Inspect(sealed)
	})
}

// FuzzMerge merges what somebody with the key has sealed.
//
// feature: N2
func FuzzMerge(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":1,"b":[{"c":null}]}`, ` { "a" : "\u0041" , "A":{}}`, `{"a":1,"\u0061":2}`, `{"a":{"$array":"int8","shape":[1],"data":[1]}}`, `[`, `{"`, `{"a":"\`} {
		f.Add([]byte(text))
	}
	keys := monitor.NewKeys(monitor.NewKey())
	f.Fuzz(func(t *testing.T, text []byte) {
		ctx := t.Context()
		sealed, err := monitor.Sealer{Keys: keys}.Seal(text)
		ok(t, err)
		m := monitor.New(monitor.Options{Keys: keys})
		if err := m.Unmarshal(ctx, sealed); err != nil {
			if !refused(err) {
				t.Errorf("got %v", err)
			}
			return
		}
		var want map[string]any
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatalf("merged %q: %v", text, err)
		}
		all, err := m.Messages(ctx)
		ok(t, err)
		if len(all) != len(want) {
			t.Errorf("%d messages of %q", len(all), text)
		}
		for key, msg := range all {
			var got any
			ok(t, json.Unmarshal(msg.JSON, &got))
			if !reflect.DeepEqual(got, want[key]) {
				t.Errorf("%q is %s", key, msg.JSON)
			}
		}
		again, err := m.Marshal(ctx)
		ok(t, err)
		ok(t, m.Unmarshal(ctx, again))
	})
}

// FuzzArray reads whatever JSON as everything that may be an array. What can be read is read again once it was put.
//
// feature: N2
func FuzzArray(f *testing.F) {
	for _, text := range []string{
		`{"$array":"float64","shape":[2,2],"data":[1,"NaN","Infinity",-0]}`, `{"data":[],"shape":[3,0],"$array":"uint8"}`, `[[1,2],[3]]`, `[{"$array":"int64","shape":[],"data":[9223372036854775807]}]`,
		`{"$array":"int8","shape":[9223372036854775807,2],"data":[]}`, `"AAAA"`, `[1e400]`, `18446744073709551616`, `null`, `{"a":{"$array":1}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		ctx, m := t.Context(), monitor.New(monitor.Options{})
		if m.Update(ctx, monitor.PutJSON("k", text)) != nil {
			return
		}
		again[any](t, m)
		again[[]any](t, m)
		again[map[string]any](t, m)
		again[[]byte](t, m)
		again[[]float64](t, m)
		again[[][]float64](t, m)
		again[[][2]int32](t, m)
		again[monitor.Array[float64]](t, m)
		again[monitor.Array[uint8]](t, m)
	})
}

func again[T any](t *testing.T, m *monitor.Monitor) {
	t.Helper()
	ctx := t.Context()
	v, err := monitor.Get[T](ctx, m, "k")
	if err != nil {
		return
	}
	ok(t, monitor.Set(ctx, m, "again", v))
	one, err := m.Messages(ctx, "again")
	ok(t, err)
	w, err := monitor.Get[T](ctx, m, "again")
	if err != nil {
		t.Fatalf("%s, put as %T, is not read again: %v", one["again"].JSON, v, err)
	}
	ok(t, monitor.Set(ctx, m, "again", w))
	two, err := m.Messages(ctx, "again")
	ok(t, err)
	if string(one["again"].JSON) != string(two["again"].JSON) { // a NaN is not itself
		t.Errorf("%s became %s", one["again"].JSON, two["again"].JSON)
	}
}
