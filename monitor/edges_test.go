package monitor_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
)

// cents says itself what its JSON is, by a method of its pointer as math/big does.
type cents struct{ n int }

func (c *cents) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `"%d ct"`, c.n), nil }

// TestPutIsAsEncodingJSON: Put says that what is no numeric array is written as encoding/json does. Elements of a slice have methods of their pointers there.
func TestPutIsAsEncodingJSON(t *testing.T) {
	m := monitor.New(monitor.Options{})
	type row struct{ All []cents }
	for name, v := range map[string]any{
		"big":     []big.Int{*big.NewInt(7), *big.NewInt(8)},
		"cents":   []cents{{1}, {2}},
		"pointer": &[2]cents{{1}, {2}},
		"map":     map[string][]cents{"a": {{1}}},
		"nil key": map[*big.Int]int{nil: 1, big.NewInt(7): 2},
		"struct":  []row{{[]cents{{3}}}},
	} {
		want, err := json.Marshal(v)
		ok(t, err)
		ok(t, monitor.Set(t.Context(), m, name, v))
		all, err := m.Messages(t.Context(), name)
		ok(t, err)
		if got := string(all[name].JSON); got != string(want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// TestKeysOfAMapStayApart: two keys of a map that are no UTF-8 are both written as U+FFFD. To put such a map is refused, or keeps both.
func TestKeysOfAMapStayApart(t *testing.T) {
	m := monitor.New(monitor.Options{})
	if err := monitor.Set(t.Context(), m, "k", map[string]int{"\xff": 1, "\xfe": 2}); err != nil {
		return // refused, as two keys that are written alike are
	}
	got, err := monitor.Get[map[string]int](t.Context(), m, "k")
	ok(t, err)
	if len(got) != 2 {
		all, err := m.Messages(t.Context(), "k")
		ok(t, err)
		t.Errorf("two were put, %v is there: %s", got, all["k"].JSON)
	}
}

// TestNullLeavesAnArray: json.Unmarshaler says that null is to do nothing.
func TestNullLeavesAnArray(t *testing.T) {
	a := monitor.Array[int]{Shape: []int{1}, Data: []int{7}}
	ok(t, a.UnmarshalJSON([]byte("null")))
	if len(a.Data) != 1 || a.Data[0] != 7 {
		t.Errorf("got %v", a)
	}
	m := monitor.New(monitor.Options{})
	ok(t, m.Update(t.Context(), monitor.PutJSON("k", []byte(`{"Name":"n","Field":null}`))))
	_, err := monitor.Get[reading](t.Context(), m, "k")
	ok(t, err)
	ok(t, m.Update(t.Context(), monitor.PutJSON("k", []byte("null"))))
	if a, err := monitor.Get[monitor.Array[int]](t.Context(), m, "k"); err != nil || a.Data != nil {
		t.Errorf("got %v, %v", a, err)
	}
	if err := a.UnmarshalJSON([]byte("nul")); err == nil {
		t.Error("what is no JSON was read")
	}
}

// TestAdviceOnElements: what an error says to write is Go, and about the type that is meant.
func TestAdviceOnElements(t *testing.T) {
	t.Parallel()
	ctx, m := soon(t), open(t, manager.Options{})
	mon := monitor.New(monitor.Options{Manager: m})
	says := func(want string, v any, err error) {
		t.Helper()
		ok(t, err)
		want = "var _ = monitor.Element[" + want + "]()"
		if err := monitor.Set(ctx, mon, "k", v); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	one, err := manager.NewList[[]unheard](ctx, m, "")
	says("[]monitor_test.unheard", one, err)
	two, err := manager.NewList[*unheard](ctx, m, "")
	says("*monitor_test.unheard", two, err)
	three, err := manager.NewMap[string, map[string]unheard](ctx, m, "")
	says("map[string]monitor_test.unheard", three, err)
	four, err := manager.NewList[[2]map[unheard][]*unheard](ctx, m, "")
	says("[2]map[monitor_test.unheard][]*monitor_test.unheard", four, err)
}
