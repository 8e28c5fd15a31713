package manager

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Value is a key's value as it was when it was read. The zero value is none. Shared memory that the value names is held for as long as somebody has the
// Value. Values may be copied and used concurrently.
type Value struct {
	key string
	rev uint64
	s   *stored
}

// newValue takes s over.
func newValue(key string, rev uint64, s *stored) Value {
	s.forget()
	return Value{key, rev, s}
}

// Type returns the Go type of the value, with the paths of packages; empty: there is no value.
func (v Value) Type() string {
	if v.s == nil {
		return ""
	}
	return v.s.typ
}

// Rev returns the revision that the key had.
func (v Value) Rev() uint64 { return v.rev }

// String returns the value as JSON, or its type and size if it has no such form: it holds handles, encoding/json refuses it, or it is too large.
func (v Value) String() string {
	if v.s == nil {
		return "<none>"
	}
	if text, ok := v.s.shown(); ok {
		return string(text)
	}
	return fmt.Sprintf("<%s, %d bytes>", v.s.typ, len(v.s.bytes))
}

// As returns the value as the T that it was stored as. The error wraps ErrType if that was another type, ErrNoKey if there is no value.
func As[T any](v Value) (T, error) {
	if v.s == nil {
		var none T
		return none, noKey(v.key)
	}
	return decode[T](v.s, fmt.Sprintf("the value of %q", v.key))
}

// Values are values by their keys.
type Values map[string]Value

// Items yields the values by their keys in order.
func (v Values) Items() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if !yield(k, v[k]) {
				return
			}
		}
	}
}

// Values returns the values of keys, all as they were at one moment: of one key, or ErrNoKey; of several, those that are there; of none, of all keys of the
// table, reserved ones too.
func (t *Table) Values(ctx context.Context, keys ...string) (Values, error) {
	all, err := t.read(ctx, keys)
	if err != nil {
		return nil, err
	}
	v := make(Values, len(all))
	for _, e := range all {
		v[e.Key] = newValue(e.Key, e.Rev, e.Value)
	}
	return v, nil
}

// Values is [Table.Values] of the value table.
func (m *Manager) Values(ctx context.Context, keys ...string) (Values, error) {
	return m.asTable().Values(ctx, keys...)
}
