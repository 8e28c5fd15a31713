package monitor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
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

// wordy says more of what it cannot read than anybody wants to know.
type wordy struct{}

var errWordy = errors.New("wordy")

func (*wordy) UnmarshalJSON(text []byte) error { return fmt.Errorf("%w: %s", errWordy, text) }

// An error does not repeat a message that is large: a small one, sealed, may hold it.
//
// feature: N2
func TestErrorsAreShort(t *testing.T) {
	ctx, keys := t.Context(), monitor.NewKeys(monitor.NewKey())
	m := monitor.New(monitor.Options{Keys: keys})
	merge := func(text string) error {
		sealed, err := monitor.Sealer{Keys: keys}.Seal([]byte(text))
		ok(t, err)
		return m.Unmarshal(ctx, sealed)
	}
	short := func(err error, is error, says string) {
		t.Helper()
		if err == nil || !errors.Is(err, is) || !strings.Contains(err.Error(), says) || len(err.Error()) > 1000 {
			t.Errorf("got %d bytes, want one that is %v: %.1000v", len(err.Error()), is, err)
		}
	}
	key := `"` + strings.Repeat(`\u0001`, 1<<18) + `"`
	short(merge("{"+key+":1,"+key+":1}"), monitor.ErrMalformed, "comes twice")
	digits := strings.Repeat("1", 1<<20)
	ok(t, merge(`{"n":`+digits+`,"s":"`+digits+`",`+key+`:1}`))
	_, err := monitor.Get[int](ctx, m, "n")
	short(err, monitor.ErrType, "is no int")
	if _, is := errors.AsType[*json.UnmarshalTypeError](err); !is {
		t.Errorf("%v is no error of encoding/json's", err)
	}
	_, err = monitor.Get[wordy](ctx, m, "s")
	short(err, errWordy, `the value of "s"`)
	_, err = monitor.Get[string](ctx, m, strings.Repeat("\x01", 1<<18))
	short(err, monitor.ErrType, `the value of "\x01`)
	_, err = monitor.Get[*manager.List[int]](ctx, m, strings.Repeat("\x01", 1<<18))
	short(err, monitor.ErrType, "List[int]")
	large := strings.Repeat("ü", 1<<18)
	short(monitor.Set(ctx, m, large, func() {}), xme.ErrEncode, `üü"…: `)
	short(m.Update(ctx, monitor.PutJSON(large, []byte("{"))), monitor.ErrMalformed, `üü"…: `)
	short(monitor.Set(ctx, m, large+"\xff", 1), monitor.ErrMalformed, "UTF-8")
	short(monitor.Set(ctx, m, "k", map[string]int{large + "\xff": 1, large + "\xfe": 2}), xme.ErrEncode, "two keys")
	short(monitor.Set(ctx, m, "k", json.Number(large)), xme.ErrEncode, "invalid number")
}

// Arrays without elements, whose text does not pay for the slices that they are read as, do not take memory without bounds.
//
// feature: N2
func TestEmptyArraysAreBounded(t *testing.T) {
	ctx, keys := t.Context(), monitor.NewKeys(monitor.NewKey())
	m := monitor.New(monitor.Options{Keys: keys})
	rows := func(n, each int) string {
		one := fmt.Sprintf(`{"$array":"float64","shape":[%d,0],"data":[]}`, each)
		return "[" + strings.Repeat(one+",", n-1) + one + "]"
	}
	ok(t, m.Update(ctx, monitor.PutJSON("few", []byte(rows(20, 3))), monitor.PutJSON("many", []byte(rows(500, 1<<16))), monitor.PutJSON("map", []byte(`{"a":`+rows(500, 1<<16)+`}`))))
	few, err := monitor.Get[[][][]float64](ctx, m, "few")
	ok(t, err)
	if len(few) != 20 || len(few[19]) != 3 || few[19][2] == nil {
		t.Errorf("got %v", few)
	}
	ok(t, m.Update(ctx, monitor.PutJSON("one", []byte(`{"$array":"float64","shape":[256,256,0],"data":[]}`)))) // the largest that may be written is read, whatever its text
	one, err := monitor.Get[[][][]float64](ctx, m, "one")
	if ok(t, err); len(one) != 256 || len(one[255]) != 256 {
		t.Errorf("%d rows", len(one))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := monitor.Get[[][][]float64](ctx, m, "many"); !errors.Is(err, monitor.ErrTooLarge) {
		t.Errorf("many: %v", err)
	}
	if _, err := monitor.Get[map[string][][][]float64](ctx, m, "map"); !errors.Is(err, monitor.ErrTooLarge) {
		t.Errorf("a map of many: %v", err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d MiB of memory were taken for 50 KiB of text", n>>20)
	}
}
