package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/xenonmp/xme/manager"
)

// Change is one change in a [Monitor.Update]. It may be used more than once.
type Change struct {
	what func(m *Monitor) (manager.Change, error)
}

func (c Change) make(m *Monitor) (manager.Change, error) {
	if c.what == nil {
		return manager.Change{}, errors.New("monitor: a zero Change: use Put, PutJSON, Drop or If")
	}
	return c.what(m)
}

// Put returns a change that sets the value of a key. v is encoded when the update is made: as by
// encoding/json, except that slices and arrays of numbers, nested or not, at the top, in slices, in
// maps and in interfaces, keep their type and shape: {"$array":"float64","shape":[2,3],"data":[…]}.
// Rows of different lengths become one array each. An object with exactly the keys $array, shape
// and data is taken for such an array, whoever writes it: if it is not one, it is refused with an
// error that wraps ErrMalformed. Floats that are not finite become the strings "NaN", "Infinity"
// and "-Infinity". In a struct, a field of type [Array] keeps type and shape.
//
// A *manager.List, or a *manager.Map with strings as keys, stays a handle: whoever gets it has the
// same list, and replacing the key does not end it. Messages show what it holds. Elements that are
// booleans, strings, numbers, slices of these, or any work without more; others need [Element].
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

// PutJSON returns a change that sets a key to the value of a JSON text. It fails with ErrMalformed
// if the text is not JSON, or if an object in it has exactly the keys of a numeric array, $array,
// shape and data, and is not one.
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

// Drop returns a change that deletes a key. If there is no such key, the update fails with
// ErrNoKey.
func Drop(key string) Change {
	return Change{func(*Monitor) (manager.Change, error) { return manager.Drop(key), nil }}
}

// If returns a condition: before the update, the key's revision must be rev or, if rev is 0, there
// must be no such key. If it does not hold, the update fails with ErrConflict.
func If(key string, rev uint64) Change {
	return Change{func(*Monitor) (manager.Change, error) { return manager.If(key, rev), nil }}
}

// putChecked is PutJSON of a text that is known to be valid.
func putChecked(key string, text json.RawMessage) Change {
	return Change{func(*Monitor) (manager.Change, error) { return putText(key, text) }}
}
