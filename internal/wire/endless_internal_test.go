package wire

import (
	"errors"
	"strings"
	"testing"
)

// endless leads to itself: by a map, beside data, and as the key of one.
type endless struct{ M map[string]any }

// twice is reached in two ways at each level.
type twice struct{ L, R *twice }

// opaque is the same with something whose size is not known before.
type opaque struct {
	L, R *opaque
	Any  any
}

// What leads to itself, or would be written more often than anybody can wait for, is an error before it has taken much memory.
func TestEndlessValues(t *testing.T) {
	defer func(most int) { mostEncoded = most }(mostEncoded)
	mostEncoded = 1 << 22
	const most = 1 << 20
	m := map[string]any{"b": make([]byte, 1<<10)}
	m["self"] = m
	fails(t, "a map that holds itself", m, most)
	fails(t, "slices of it", []map[string]any{m, m}, most)
	var two *twice
	var op *opaque
	for range 60 {
		two, op = &twice{two, two}, &opaque{op, op, 1}
	}
	if n := size(t, two); n <= mostEncoded {
		t.Errorf("2^60 pointers take %d bytes", n)
	}
	fails(t, "2^60 pointers", two, most)
	fails(t, "2^60 pointers with an any", op, most)
	e := &endless{map[string]any{}}
	e.M["self"] = e.M
	fails(t, "a key that leads to itself", map[*endless]int{e: 1}, most)
	fails(t, "one in an any", any(map[any]any{e: 1}), most)
}

func size[T any](t *testing.T, v T) int {
	t.Helper()
	c, err := CodecFor[T]()
	if err != nil {
		t.Fatal(err)
	}
	return Size(c, &v)
}

func fails[T any](t *testing.T, what string, v T, most int) {
	t.Helper()
	c, err := CodecFor[T]()
	if err != nil {
		t.Fatal(err)
	}
	p := NewParcel()
	defer p.Free()
	p.Most = most
	out, err := Append(c, nil, &v, p)
	var verr *ValueError
	if !errors.As(err, &verr) || len(err.Error()) > 1000 || !strings.Contains(err.Error(), "cycle") && !strings.Contains(err.Error(), "inside any") {
		t.Errorf("%s: %d bytes, %.300v", what, len(out), err)
	}
}
