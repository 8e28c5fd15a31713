package wire_test

import (
	"fmt"
	"math/big"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

type (
	circle struct { // meets itself long before it meets its any
		Kids  []circle
		Left  *circle
		Named map[string]*circle
		Last  [1]struct{ V any }
	}
	timed struct {
		Next *timed
		At   map[time.Time]bool
	}
	loud int // has a method that printing calls
)

var loudCalls int

func (l loud) String() string { loudCalls++; return "loud" }

func claims[T any](t *testing.T, exact, foreign bool) {
	t.Helper()
	if c := codecFor[T](t); c.Plan.Exact() != exact || c.Plan.Foreign() != foreign {
		t.Errorf("%s: exact %t, foreign %t; want %t, %t", reflect.TypeFor[T](), c.Plan.Exact(), c.Plan.Foreign(), exact, foreign)
	}
}

func TestExactAndForeign(t *testing.T) {
	t.Parallel()
	claims[int](t, true, false)
	claims[hidden](t, true, false)
	claims[[]mixed](t, true, false)
	claims[tree](t, true, false)
	claims[nest](t, true, false)
	claims[map[loud][]string](t, true, false)
	claims[[]struct{}](t, true, false)
	claims[struct {
		S string
		V any       `xme:"-"`
		T time.Time `xme:"-"`
		A [0]time.Time
	}](t, true, false)

	claims[any](t, false, false)
	claims[circle](t, false, false)
	claims[*os.File](t, false, false)
	claims[map[string]*token](t, false, false)

	claims[time.Time](t, false, true)
	claims[[3]big.Int](t, false, true)
	claims[*timed](t, false, true)
	claims[struct {
		A [0]time.Time
		B []time.Time
	}](t, false, true)
	claims[pair](t, false, true)
	claims[map[string]struct{ Next **timed }](t, false, true)
}

// Decoding calls no method of a type that no marshaler is, not even to say where it failed; encoding may.
func TestDecodeCallsNoMethods(t *testing.T) {
	claims[map[loud]*string](t, true, false)
	loudCalls = 0
	src := strings.Repeat("\x07", int(reflect.TypeFor[loud]().Size()))
	err := decodes[map[loud]*string](t, "\x02"+src+"\x09")
	if want := fmt.Sprintf("[%d]: byte 9 where a pointer", 0x0707070707070707); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	err = decodes[map[[1]loud]*string](t, "\x03"+src+"\x00"+src[1:]+"\x08\x09")
	if err == nil || !strings.HasPrefix(err.Error(), "[1]: byte 9") {
		t.Errorf("%v, want the entry's place", err)
	}
	if loudCalls > 0 {
		t.Errorf("String was called %d times", loudCalls)
	}
	if err := encodes(t, map[loud]any{1: func() {}}); err == nil || !strings.HasPrefix(err.Error(), "[loud]: ") {
		t.Errorf("%v, want the key as it prints", err)
	}
}
