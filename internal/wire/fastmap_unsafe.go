package wire

import (
	"encoding/binary"
	"reflect"
	"unsafe"
)

// A fastMapNode is a mapNode for the maps that programs use most: the compiler's own loop instead of reflection, several times
// as fast. It serves every named type of such a map as well, since the two are the same in memory. Keys and elements are plain
// memory or strings.
type fastMapNode[K comparable, V any] struct{ key, elem node }

// An entry is where the loops below keep one, on the heap: its nodes take pointers to it.
type entry[K, V any] struct {
	k K
	v V
}

// fastMap returns the node of t if t is one of those maps, or nil.
func fastMap(t reflect.Type) node {
	return fastMaps[[2]reflect.Type{t.Key(), t.Elem()}]
}

var fastMaps = map[[2]reflect.Type]node{
	mapTypes[string, string]():  &fastMapNode[string, string]{stringNode{}, stringNode{}},
	mapTypes[string, int]():     &fastMapNode[string, int]{stringNode{}, number[int]()},
	mapTypes[string, int64]():   &fastMapNode[string, int64]{stringNode{}, number[int64]()},
	mapTypes[string, float64](): &fastMapNode[string, float64]{stringNode{}, number[float64]()},
	mapTypes[int, int]():        &fastMapNode[int, int]{number[int](), number[int]()},
	mapTypes[int, string]():     &fastMapNode[int, string]{number[int](), stringNode{}},
	mapTypes[int, float64]():    &fastMapNode[int, float64]{number[int](), number[float64]()},
}

func mapTypes[K, V any]() [2]reflect.Type {
	return [2]reflect.Type{reflect.TypeFor[K](), reflect.TypeFor[V]()}
}

func number[T int | int64 | float64]() node { return &memNode{bytes: unsafe.Sizeof(T(0))} }

func (m *fastMapNode[K, V]) least() int { return 1 }

func (m *fastMapNode[K, V]) size(z *sizer, p unsafe.Pointer) int {
	entries := *(*map[K]V)(p)
	total := uvarintLen(uint64(len(entries)) + 1)
	e := &entry[K, V]{}
	kp, vp := unsafe.Pointer(&e.k), unsafe.Pointer(&e.v)
	for e.k, e.v = range entries {
		total += m.key.size(z, kp) + m.elem.size(z, vp)
	}
	return total
}

func (m *fastMapNode[K, V]) append(enc *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	entries := *(*map[K]V)(p)
	if entries == nil {
		return append(dst, 0), nil
	}
	dst = binary.AppendUvarint(dst, uint64(len(entries))+1)
	e := &entry[K, V]{}
	kp, vp := unsafe.Pointer(&e.k), unsafe.Pointer(&e.v)
	for e.k, e.v = range entries {
		dst, _ = m.key.append(enc, dst, kp) // strings and numbers always can
		dst, _ = m.elem.append(enc, dst, vp)
	}
	return dst, nil
}

func (m *fastMapNode[K, V]) decode(d *decoder, p unsafe.Pointer) *ValueError {
	n, isNil, verr := d.count(m.key.least() + m.elem.least())
	if verr != nil {
		return verr
	}
	if isNil {
		*(*map[K]V)(p) = nil
		return nil
	}
	entries := make(map[K]V, n)
	e := &entry[K, V]{}
	kp, vp := unsafe.Pointer(&e.k), unsafe.Pointer(&e.v)
	for i := range n {
		if verr = m.key.decode(d, kp); verr == nil {
			verr = m.elem.decode(d, vp)
		}
		if verr != nil {
			return verr.within(step{index: i})
		}
		entries[e.k] = e.v
	}
	if len(entries) != n {
		return errKeyTwice()
	}
	*(*map[K]V)(p) = entries
	return nil
}
