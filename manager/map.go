package manager

import (
	"context"
	"iter"
	"reflect"
)

// Map is a handle on a map that a manager keeps, with keys of type K and elements of type V, which
// may hold handles themselves. It crosses as a [List] does, and lasts as long.
//
// K consists of booleans, numbers, strings, and arrays and structs of those without gaps in memory.
// Keys are equal if their encodings are, so 0 and -0 are two keys, and a NaN can be found again.
// All methods may be called concurrently; each call is done as a whole or not at all. The errors
// are those of a List.
type Map[K comparable, V any] struct {
	ref ref
}

// NewMap makes an empty map. FindMap finds it by name; an empty name means none. The error wraps
// ErrExists if the name is taken, and xme.ErrEncode if K cannot be a key or V cannot be kept.
func NewMap[K comparable, V any](ctx context.Context, m *Manager, name string) (*Map[K, V], error) {
	r, err := makeMap(ctx, refOf(m, reflect.TypeFor[Map[K, V]]()), name, reflect.TypeFor[K](), reflect.TypeFor[V]())
	if err != nil {
		return nil, err
	}
	return &Map[K, V]{r}, nil
}

// unfit says why values of t that are equal may be encoded differently; empty: they are not.
func unfit(t reflect.Type) string {
	switch k := t.Kind(); {
	case k == reflect.Array:
		return unfit(t.Elem())
	case k == reflect.Struct:
		end := uintptr(0)
		for f := range t.Fields() {
			if f.Offset != end || f.Name == "_" {
				return "it has gaps in memory"
			}
			if why := unfit(f.Type); why != "" {
				return "its field " + f.Name + ": " + why
			}
			end = f.Offset + f.Type.Size()
		}
		if end != t.Size() {
			return "it has gaps in memory"
		}
		return ""
	case k == reflect.String || k >= reflect.Bool && k <= reflect.Complex128 && k != reflect.Uintptr:
		return ""
	}
	return "it is no number, string or boolean"
}

// FindMap returns the map with the given name. The error wraps ErrNotFound if there is none, and
// ErrType if the name is that of something else.
func FindMap[K comparable, V any](ctx context.Context, m *Manager, name string) (*Map[K, V], error) {
	r, err := findCollection(ctx, refOf(m, reflect.TypeFor[Map[K, V]]()), "find map", name)
	if err != nil {
		return nil, err
	}
	return &Map[K, V]{r}, nil
}

// keyOf returns a key as it is kept.
func keyOf[K comparable](k K) (string, error) {
	s, err := encodeItem(&k)
	if err != nil {
		return "", err
	}
	return string(s.bytes), nil
}

// Set sets the element of a key.
func (m *Map[K, V]) Set(ctx context.Context, k K, v V) error {
	return m.Update(ctx, map[K]V{k: v})
}

// Update sets the elements of all keys of a Go map.
func (m *Map[K, V]) Update(ctx context.Context, all map[K]V) error {
	var in putRequest
	for k, v := range all {
		if err := addPair(&in, k, v); err != nil {
			return err
		}
	}
	_, err := m.ref.put(ctx, in)
	return err
}

// Swap sets the element of a key and returns the previous one, if there was one.
func (m *Map[K, V]) Swap(ctx context.Context, k K, v V) (old V, had bool, err error) {
	in := putRequest{Old: true}
	if err = addPair(&in, k, v); err != nil {
		return old, false, err
	}
	s, err := m.ref.put(ctx, in)
	if err != nil || s == nil {
		return old, false, err
	}
	defer s.release()
	old, err = decodeItem[V](s)
	return old, err == nil, err
}

// addPair adds a key with its element to a request. If it cannot be encoded all of the request is released.
func addPair[K comparable, V any](in *putRequest, k K, v V) error {
	key, err := encodeItem(&k)
	var s *stored
	if err == nil {
		s, err = encodeItem(&v)
	}
	return in.add(key, s, err)
}

// Get returns the element of a key, and whether there is one.
func (m *Map[K, V]) Get(ctx context.Context, k K) (v V, ok bool, err error) {
	key, err := keyOf(k)
	if err != nil {
		return v, false, err
	}
	s, err := m.ref.get(ctx, key)
	if err != nil || s == nil {
		return v, false, err
	}
	defer s.release()
	v, err = decodeItem[V](s)
	return v, err == nil, err
}

// Delete deletes a key, and reports whether it was there.
func (m *Map[K, V]) Delete(ctx context.Context, k K) (had bool, err error) {
	key, err := keyOf(k)
	if err != nil {
		return false, err
	}
	return m.ref.drop(ctx, key)
}

// Len returns the number of keys.
func (m *Map[K, V]) Len(ctx context.Context) (int, error) {
	return m.ref.size(ctx, true)
}

// Keys returns the keys, in unspecified order.
func (m *Map[K, V]) Keys(ctx context.Context) ([]K, error) {
	keys, _, err := m.ref.pairs(ctx, true)
	if err != nil {
		return nil, err
	}
	return decodeItems[K](keys)
}

// All fetches the whole map, as it is at one moment, and returns an iterator over its keys and
// elements, in unspecified order, which may be used more than once.
func (m *Map[K, V]) All(ctx context.Context) (iter.Seq2[K, V], error) {
	k, v, err := m.ref.pairs(ctx, false)
	defer releaseAll(v)
	if err != nil {
		return nil, err
	}
	keys, err := decodeItems[K](k)
	if err != nil {
		return nil, err
	}
	items, err := decodeItems[V](v)
	if err != nil {
		return nil, err
	}
	return func(yield func(K, V) bool) {
		for i, k := range keys {
			if !yield(k, items[i]) {
				return
			}
		}
	}, nil
}

// Release ends the map for all who have it. The error of a second Release wraps ErrReleased.
func (m *Map[K, V]) Release(ctx context.Context) error {
	return m.ref.release(ctx)
}

// MarshalJSON fails: the contents of a map are read from its manager, not from the handle.
func (m *Map[K, V]) MarshalJSON() ([]byte, error) { return nil, m.ref.noJSON() }

// AddTo adds delta to the element of a key and returns the sum; nobody can come in between. A key
// that is not there counts as zero; integers wrap around.
func AddTo[K comparable, N number](ctx context.Context, m *Map[K, N], k K, delta N) (sum N, err error) {
	key, err := keyOf(k)
	if err != nil {
		return sum, err
	}
	s, err := encodeItem(&delta)
	if err != nil {
		return sum, err
	}
	kind := reflect.TypeFor[N]().Kind()
	b, err := opAdd.call(ctx, m.ref.m, addRequest{m.ref.operator(), m.ref.target(), key, uint8(kind), s.bytes})
	if err != nil {
		return sum, err
	}
	return decodeItem[N](&stored{bytes: b})
}
