package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/xenonmp/xme/manager"
)

// Change is a part of what [Monitor.Update] does. It may be used again.
type Change struct {
	what func(m *Monitor) (manager.Change, error)
}

func (c Change) make(m *Monitor) (manager.Change, error) {
	if c.what == nil {
		return manager.Change{}, errors.New("monitor: a zero Change: use Put, PutJSON, Drop or If")
	}
	return c.what(m)
}

// Put is a change that gives a key a value. v is encoded when the update is made: as encoding/json does, but for slices and arrays of numbers, nested or not, at
// the top, in slices, in maps and in interfaces, which keep their type and shape: {"$array":"float64","shape":[2,3],"data":[…]}. Rows that differ in length are
// arrays each. An object with the keys $array, shape and data and no other is such an array, whoever writes it: one that is none is refused, by an error that wraps
// ErrMalformed. Floats that are not finite are the strings "NaN", "Infinity" and "-Infinity". In a struct, a field of type [Array] keeps type and shape.
//
// A *manager.List or a *manager.Map with strings as keys stays a handle: who gets it has the same list, and replacing the key does not end it. Messages show what
// it holds. Elements that are booleans, strings, numbers, slices of these, or any work as they are; others need [Element].
func Put[T any](key string, v T) Change {
	return Change{func(m *Monitor) (manager.Change, error) { return m.put(key, v) }}
}

func (m *Monitor) put(key string, v any) (manager.Change, error) {
	if v != nil {
		if t := reflect.TypeOf(v); isHandle(t) {
			c, err := putHandle(key, v)
			if err == nil && m.o.Manager == nil {
				err = fmt.Errorf("monitor: the value of %s: a shared list or map lives in a manager: give the monitor one (Options.Manager)", briefKey(key))
			}
			return c, err
		}
	}
	text, err := encode(v)
	if err != nil {
		return manager.Change{}, fmt.Errorf("monitor: the value of %s: %w", briefKey(key), err)
	}
	return putText(key, text)
}

// PutJSON is a change that gives a key the value that a JSON text says. It fails with ErrMalformed if that is no JSON, or if an object in it has the keys of a numeric
// array, $array, shape and data, no other, and is none.
func PutJSON(key string, text []byte) Change {
	return Change{func(*Monitor) (manager.Change, error) {
		value, err := checked(text)
		if err == nil {
			err = checkArrays(value)
		}
		if err != nil {
			return manager.Change{}, fmt.Errorf("monitor: the value of %s: %w", briefKey(key), err)
		}
		return putText(key, value)
	}}
}

func putText(key string, text json.RawMessage) (manager.Change, error) {
	if !utf8.ValidString(key) {
		return manager.Change{}, fmt.Errorf("%w: the key %s is no UTF-8", ErrMalformed, briefKey(key))
	}
	return manager.Put(key, text), nil
}

// Drop is a change that deletes a key. If there is no such key the update fails with ErrNoKey.
func Drop(key string) Change {
	return Change{func(*Monitor) (manager.Change, error) { return manager.Drop(key), nil }}
}

// If is the condition that a key's revision is rev, or that there is no such key if rev is 0, before the update. If it does not hold the update fails with
// ErrConflict.
func If(key string, rev uint64) Change {
	return Change{func(*Monitor) (manager.Change, error) { return manager.If(key, rev), nil }}
}

// putChecked is PutJSON of a text that is known to be valid.
func putChecked(key string, text json.RawMessage) Change {
	return Change{func(*Monitor) (manager.Change, error) { return putText(key, text) }}
}
