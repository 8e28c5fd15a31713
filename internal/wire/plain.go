package wire

import (
	"reflect"
	"sync"
	"time"
)

// A plain is a type that crosses inside any under a tag.
type plain struct {
	typ    reflect.Type
	tag    uint64
	null   any                                // the type's nil; nil if it has none
	append func(dst []byte, v any) []byte     // the tag's content, for a v that is not nil
	decode func(content any) (v any, ok bool) // from what CBOR's reader made of the content
}

func (p *plain) isNil(v any) bool { return p.null != nil && reflect.ValueOf(v).IsNil() }

// The private tags. Numbers from 0x8000 on are there for first comers; these mean something only between two copies of one build.
// Types of one table follow each other from plainTags on, in the order in which plains lists them.
const (
	tagNil    = 0xe000 + iota // content: the tag of a type, whose nil is meant
	tagTime                   // content: time.Time.MarshalBinary
	tagAnyMap                 // content: an array of keys and elements in turn
	plainTags
)

type plainTable struct {
	byType map[reflect.Type]*plain
	byTag  map[uint64]*plain
}

// plains is the table of plain types. It is made when the first any needs it, so that a worker without any starts faster.
var plains = sync.OnceValue(func() *plainTable {
	t := &plainTable{make(map[reflect.Type]*plain), make(map[uint64]*plain)}
	// Types that appendAny writes by itself are here for their nils.
	t.add(&plain{typ: reflect.TypeFor[[]byte](), null: []byte(nil)})
	t.add(&plain{typ: reflect.TypeFor[[]any](), null: []any(nil)})
	t.add(&plain{typ: reflect.TypeFor[map[string]any](), null: map[string]any(nil)})
	t.add(&plain{typ: reflect.TypeFor[map[any]any](), null: map[any]any(nil)})
	addStrings(t)
	addMemory[bool](t)
	addMemory[int](t)
	addMemory[int8](t)
	addMemory[int16](t)
	addMemory[int32](t)
	addMemory[int64](t)
	addMemory[uint](t)
	addMemory[uint8](t)
	addMemory[uint16](t)
	addMemory[uint32](t)
	addMemory[uint64](t)
	addMemory[float32](t)
	addMemory[float64](t)
	addMemory[complex64](t)
	addMemory[complex128](t)
	addMemory[time.Duration](t)
	return t
})

// add gives p the next tag. A type that is in the table already keeps what it has ([]uint8 is []byte).
func (t *plainTable) add(p *plain) {
	if t.byType[p.typ] == nil {
		p.tag = plainTags + uint64(len(t.byTag))
		t.byType[p.typ] = p
		t.byTag[p.tag] = p
	}
}

func addStrings(t *plainTable) {
	t.add(&plain{
		typ:  reflect.TypeFor[[]string](),
		null: []string(nil),
		append: func(dst []byte, v any) []byte {
			return appendTextItems(dst, v.([]string))
		},
		decode: func(content any) (any, bool) { return textsOf(content) },
	})
	t.add(&plain{
		typ:  reflect.TypeFor[map[string]string](),
		null: map[string]string(nil),
		append: func(dst []byte, v any) []byte {
			m := v.(map[string]string)
			dst = appendHead(dst, cborMap, uint64(len(m)))
			for k, s := range m {
				dst = appendTextItem(appendTextItem(dst, k), s)
			}
			return dst
		},
		decode: func(content any) (any, bool) {
			in, ok := content.(map[string]any)
			m := make(map[string]string, len(in))
			for k, e := range in {
				s, isText := e.(string)
				ok = ok && isText
				m[k] = s
			}
			return m, ok
		},
	})
}

func appendTextItems(dst []byte, s []string) []byte {
	dst = appendHead(dst, cborArray, uint64(len(s)))
	for _, e := range s {
		dst = appendTextItem(dst, e)
	}
	return dst
}

func textsOf(content any) ([]string, bool) {
	in, ok := content.([]any)
	out := make([]string, len(in))
	for i, e := range in {
		s, isText := e.(string)
		ok = ok && isText
		out[i] = s
	}
	return out, ok
}

// memorable are the types whose values are written as they lie in memory.
type memorable interface {
	bool | int | int8 | int16 | int32 | int64 | uint | uint8 | uint16 | uint32 | uint64 |
		float32 | float64 | complex64 | complex128 | time.Duration
}

// addMemory adds T, []T and map[string]T.
func addMemory[T memorable](t *plainTable) {
	t.add(&plain{
		typ: reflect.TypeFor[T](),
		append: func(dst []byte, v any) []byte {
			return appendMemory(dst, []T{v.(T)})
		},
		decode: func(content any) (any, bool) {
			s, ok := memoryOf[T](content)
			if !ok || len(s) != 1 {
				return nil, false
			}
			return s[0], true
		},
	})
	t.add(&plain{
		typ:  reflect.TypeFor[[]T](),
		null: []T(nil),
		append: func(dst []byte, v any) []byte {
			return appendMemory(dst, v.([]T))
		},
		decode: func(content any) (any, bool) { return memoryOf[T](content) },
	})
	t.add(&plain{
		typ:  reflect.TypeFor[map[string]T](),
		null: map[string]T(nil),
		append: func(dst []byte, v any) []byte {
			m := v.(map[string]T)
			keys, elems := make([]string, 0, len(m)), make([]T, 0, len(m))
			for k, e := range m {
				keys, elems = append(keys, k), append(elems, e)
			}
			return appendMemory(appendTextItems(appendHead(dst, cborArray, 2), keys), elems)
		},
		decode: func(content any) (any, bool) {
			both, _ := content.([]any)
			if len(both) != 2 {
				return nil, false
			}
			keys, ok := textsOf(both[0])
			elems, okElems := memoryOf[T](both[1])
			if !ok || !okElems || len(keys) != len(elems) {
				return nil, false
			}
			m := make(map[string]T, len(keys))
			for i, k := range keys {
				m[k] = elems[i]
			}
			return m, len(m) == len(keys)
		},
	})
}
