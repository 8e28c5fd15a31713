package monitor_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor"
)

// tree is a type that nests as deep as a message does.
type tree map[string]tree

// What cannot be read, or put, is named by the last keys on the way to it. The error does not grow with the way, nor does what it costs with its square.
//
// feature: N2
func TestPathsAreShort(t *testing.T) {
	const depth = 5000
	ctx, keys := t.Context(), monitor.NewKeys(monitor.NewKey())
	long := strings.Repeat("k", 100)
	text := `{"a":` + strings.Repeat(`{"`+long+`":`, depth) + `{"b":{"c":1}}` + strings.Repeat("}", depth) + "}"
	sealed, err := monitor.Sealer{Keys: keys}.Seal([]byte(text))
	ok(t, err)
	m := monitor.New(monitor.Options{Keys: keys, Limit: 1 << 20})
	ok(t, m.Unmarshal(ctx, sealed))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = monitor.Get[tree](ctx, m, "a")
	runtime.ReadMemStats(&after)
	if !errors.Is(err, monitor.ErrType) || !strings.Contains(err.Error(), `kkk"…: key "b": key "c": 1 is no `) || len(err.Error()) > 500 {
		t.Errorf("got %d bytes: %.1000v", len(err.Error()), err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d MiB of memory were taken for a text of %d KiB", n>>20, len(text)>>10)
	}

	var v any = func() {}
	for range 900 / 4 {
		v = map[string]any{long: []any{v}}
	}
	err = monitor.Set(ctx, m, "b", v)
	if !errors.Is(err, xme.ErrEncode) || !strings.Contains(err.Error(), `kkk"…: element 0: json: unsupported type: func()`) || len(err.Error()) > 500 {
		t.Errorf("got %d bytes: %.1000v", len(err.Error()), err)
	}
	err = monitor.Set(ctx, m, "b", map[string]any{"x": []any{1, func() {}}})
	if !errors.Is(err, xme.ErrEncode) || !strings.Contains(err.Error(), `: key "x": element 1: json: unsupported`) {
		t.Errorf("got %v", err)
	}
}
