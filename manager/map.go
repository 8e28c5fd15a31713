package manager

import (
	"context"
	"iter"
	"reflect"
)

// Map is a handle on a map that a manager keeps, with keys of type K and elements of type V, which may hold handles of their own. It crosses as [List]
// does, and lasts as long.
//
// K is made of booleans, numbers, strings, and arrays and structs of those without gaps in memory: keys are the same if they are encoded alike, so that 0
// and -0 are two keys, and a NaN is found again. All methods may be called concurrently; each call is done whole or not at all. Their errors are those of a List.
type Map[K comparable, V any] struct {
	ref ref
}

// NewMap makes an empty map. name is for FindMap; empty: there is none. The error wraps ErrExists if the name is taken, xme.ErrEncode if K cannot be a key
// or V cannot be kept.
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

// FindMap returns the map of that name. The error wraps ErrNotFound if there is none, ErrType if the name is another thing's.
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

// Set gives a key an element.
func (m *Map[K, V]) Set(ctx context.Context, k K, v V) error {
	return m.Update(ctx, map[K]V{k: v})
}

// Update sets all the keys of a Go map.
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

// Swap gives a key an element and returns what it had, if it had any.
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

// Get returns a key's element, and whether it has one.
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

// Delete deletes a key, and says whether there was one.
func (m *Map[K, V]) Delete(ctx context.Context, k K) (had bool, err error) {
	key, err := keyOf(k)
	if err != nil {
		return false, err
	}
	return m.ref.drop(ctx, key)
}

// Len returns how many keys there are.
func (m *Map[K, V]) Len(ctx context.Context) (int, error) {
	return m.ref.size(ctx, true)
}

// Keys returns the keys, in no order that means anything.
func (m *Map[K, V]) Keys(ctx context.Context) ([]K, error) {
	keys, _, err := m.ref.pairs(ctx, true)
	if err != nil {
		return nil, err
	}
	return decodeItems[K](keys)
}

// All fetches the whole map, as it is at one moment, and yields its keys with their elements, in no order that means anything. It may be ranged over again.
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

// Release ends the map, for all who have it. Doing so twice is an error that wraps ErrReleased.
func (m *Map[K, V]) Release(ctx context.Context) error {
	return m.ref.release(ctx)
}

// MarshalJSON fails: what a map holds is read from its manager, not from the handle.
func (m *Map[K, V]) MarshalJSON() ([]byte, error) { return nil, m.ref.noJSON() }

// AddTo adds delta to a key's element and returns the sum, with nobody in between. A key that is not there counts as zero; integers wrap around.
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
