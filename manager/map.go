package manager

import (
	"context"
	"iter"
	"reflect"

	"github.com/xenonmp/xme"
)

// Map is a handle on a map that a manager keeps, with keys of type K and elements of type V, which may hold handles of their own. It crosses as [List]
// does, and lasts as long.
//
// K is made of booleans, numbers, strings, and arrays and structs of those without gaps in memory: keys are the same if they are encoded alike, so that 0
// and -0 are two keys, and a NaN is found again. All methods may be called concurrently; each call is done whole or not at all. Their errors are those of a List.
type Map[K comparable, V any] struct {
	ref
}

// NewMap makes an empty map. name is for FindMap; empty: there is none. The error wraps ErrExists if the name is taken, xme.ErrEncode if K cannot be a key
// or V cannot be kept.
func NewMap[K comparable, V any](ctx context.Context, m *Manager, name string) (*Map[K, V], error) {
	n := &Map[K, V]{refOf[Map[K, V]](m, 0)}
	if why := unfit(reflect.TypeFor[K]()); why != "" {
		return nil, errorf("new map: %w: %v cannot be a key: %s", xme.ErrEncode, reflect.TypeFor[K](), why)
	}
	if _, err := typeOf[V](); err != nil {
		return nil, errorf("new map: %w", err)
	}
	var err error
	n.number, err = opMake.call(ctx, m, makeRequest{n.operator(), name, n.typ, true, nil})
	if err != nil {
		return nil, errorf("new map: %w", err)
	}
	return n, nil
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
	n := &Map[K, V]{refOf[Map[K, V]](m, 0)}
	var err error
	n.number, err = opFind.call(ctx, m, findRequest{name, n.typ})
	if err != nil {
		return nil, errorf("find map: %w", err)
	}
	return n, nil
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
	in := putRequest{Op: m.operator(), At: m.target()}
	defer func() { releaseAll(in.Items) }()
	for k, v := range all {
		if err := addPair(&in, k, v); err != nil {
			return err
		}
	}
	_, err := opPut.call(ctx, m.manager(), in)
	return err
}

// Swap gives a key an element and returns what it had, if it had any.
func (m *Map[K, V]) Swap(ctx context.Context, k K, v V) (old V, had bool, err error) {
	in := putRequest{Op: m.operator(), At: m.target(), Old: true}
	defer func() { releaseAll(in.Items) }()
	if err = addPair(&in, k, v); err != nil {
		return old, false, err
	}
	s, err := opPut.call(ctx, m.manager(), in)
	if err != nil || s == nil {
		return old, false, err
	}
	defer s.release()
	old, err = decodeItem[V](s)
	return old, err == nil, err
}

func addPair[K comparable, V any](in *putRequest, k K, v V) error {
	key, err := keyOf(k)
	if err != nil {
		return err
	}
	s, err := encodeItem(&v)
	if err != nil {
		return err
	}
	in.Keys, in.Items = append(in.Keys, key), append(in.Items, s)
	return nil
}

// Get returns a key's element, and whether it has one.
func (m *Map[K, V]) Get(ctx context.Context, k K) (v V, ok bool, err error) {
	key, err := keyOf(k)
	if err != nil {
		return v, false, err
	}
	s, err := opMapGet.call(ctx, m.manager(), keyRequest{At: m.target(), Key: key})
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
	return opMapDelete.call(ctx, m.manager(), keyRequest{m.operator(), m.target(), key})
}

// Len returns how many keys there are.
func (m *Map[K, V]) Len(ctx context.Context) (int, error) {
	return opSize.call(ctx, m.manager(), targetRequest{At: m.target(), Map: true})
}

// Keys returns the keys, in no order that means anything.
func (m *Map[K, V]) Keys(ctx context.Context) ([]K, error) {
	a, err := opPairs.call(ctx, m.manager(), pairsRequest{m.target(), true})
	if err != nil {
		return nil, err
	}
	keys := make([]K, len(a.Keys))
	for i, k := range a.Keys {
		if keys[i], err = decodeItem[K](&stored{bytes: []byte(k)}); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// All fetches the whole map, as it is at one moment, and yields its keys with their elements, in no order that means anything. It may be ranged over again.
func (m *Map[K, V]) All(ctx context.Context) (iter.Seq2[K, V], error) {
	a, err := opPairs.call(ctx, m.manager(), pairsRequest{At: m.target()})
	defer releaseAll(a.Items)
	if err != nil {
		return nil, err
	}
	if len(a.Keys) != len(a.Items) {
		return nil, errorf("%w", errMalformed)
	}
	keys, items := make([]K, len(a.Keys)), make([]V, len(a.Keys))
	for i, k := range a.Keys {
		if keys[i], err = decodeItem[K](&stored{bytes: []byte(k)}); err == nil {
			items[i], err = decodeItem[V](a.Items[i])
		}
		if err != nil {
			return nil, err
		}
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
	_, err := opRelease.call(ctx, m.manager(), targetRequest{Op: m.operator(), At: m.target()})
	return err
}

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
	b, err := opAdd.call(ctx, m.manager(), addRequest{m.operator(), m.target(), key, uint8(kind), s.bytes})
	if err != nil {
		return sum, err
	}
	return decodeItem[N](&stored{bytes: b})
}
