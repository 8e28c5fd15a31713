package monitor_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"testing"

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
