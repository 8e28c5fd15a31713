package manager

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Value is the value of a key at the time it was read. The zero value means no value. Shared memory
// that the value refers to is kept for as long as somebody has the Value. Values may be copied and
// used concurrently.
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

// Type returns the Go type of the value, with package paths; empty: there is no value.
func (v Value) Type() string {
	if v.s == nil {
		return ""
	}
	return v.s.typ
}

// Rev returns the revision that the key had.
func (v Value) Rev() uint64 { return v.rev }

// String returns the value as JSON or, if that is not possible, its type and size: because it holds
// handles, encoding/json refuses it, or it is too large.
func (v Value) String() string {
	if v.s == nil {
		return "<none>"
	}
	if text, ok := v.s.shown(); ok {
		return string(text)
	}
	return fmt.Sprintf("<%s, %d bytes>", v.s.typ, len(v.s.bytes))
}

// As returns the value as the type T that it was stored as. The error wraps ErrType if it was
// stored as another type, and ErrNoKey if there is no value.
func As[T any](v Value) (T, error) {
	if v.s == nil {
		var none T
		return none, noKey(v.key)
	}
	return decode[T](v.s, fmt.Sprintf("the value of %q", v.key))
}

// Values holds values by key.
type Values map[string]Value

// Items yields the keys, in order, with their values.
func (v Values) Items() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if !yield(k, v[k]) {
				return
			}
		}
	}
}

// Values returns the values of keys, all as they were at one moment. For one key that does not
// exist the error wraps ErrNoKey; of several keys it returns those that exist; without keys it
// returns all of the table, including reserved ones.
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
