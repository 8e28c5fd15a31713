package wire

import (
	"reflect"
	"sync"
)

// A Codec turns values of the one type T into bytes and back. It is made once, when a function is registered, and is safe for
// concurrent use from then on.
//
// Both sides of a link are the same build, so a type needs no description on the wire: values go by their layout in Go. How each
// kind of type is written (all lengths are unsigned varints, all numbers in native byte order):
//
//	no pointer inside      the bytes as they lie in memory, unexported fields and padding included
//	string                 length, bytes
//	slice                  0 for nil, else 1 + length; then the elements (one copy if they hold no pointer)
//	map                    0 for nil, else 1 + length; then key, value, key, value …, in no particular order
//	pointer                0 for nil, else 1 and what it points at
//	array, struct          element by element, field by field (neighbouring fields without pointers in one copy)
//	marshaler              length, and the bytes of its own MarshalBinary, or else of its MarshalText
//	any                    length (0 for nil), and one CBOR item; see any.go
//	handle (an open file)  0 for nil, else 1 + length; then what its package writes; see Handle
//
// A type has a codec of its own making (marshaler) if it declares MarshalBinary and UnmarshalBinary, or MarshalText and
// UnmarshalText, for T or *T. Methods that a struct only inherits from an embedded field do not count: they know nothing of its
// other fields. Struct tags mean nothing here, but for `xme:"-"`, which leaves a field out. An unexported field crosses if its
// struct holds no pointers, if it is embedded, or if it has no size; elsewhere it must be left out by the tag, so that nothing
// is lost in silence.
//
// What crosses is the value, not its identity: two pointers to one variable arrive as pointers to two. A value reached twice is
// written twice. A cycle is an error, found at the depth of maxDepth, or once more is written than a message may have (see Parcel.Most).
//
// Methods of a generic type are compiled for each of its instances, used or not. A program has as many instances as its functions have types, so what a codec does
// with its T is in functions, [Append], [Decode] and a few more, which are short, and everything else is the Plan's.
type Codec[T any] struct {
	Plan *Plan
}

// A Plan is what a codec knows of its type.
type Plan struct {
	typ    reflect.Type
	root   node
	name   string      // the type's own name, the first word of every path
	memory *memNode    // the root, when values of the type are copied as they lie
	handle *handleNode // the root, when the type is a pointer that is a handle of this module's

	exact, foreign, handles bool // see the methods of these names

	borrowed string

	works sync.Pool // of *work
}

// maxDepth bounds how deep pointers, slices, maps and handles may nest in one value, on both sides: far more than data needs,
// far less than a stack holds.
const maxDepth = 10_000

// CodecFor compiles the codec of T. The error is a *TypeError that names the first part of T that cannot cross.
func CodecFor[T any]() (Codec[T], error) {
	pl, err := PlanOf(reflect.TypeFor[T]())
	return Codec[T]{pl}, err
}

// PlanOf is CodecFor for a type that is not known when the program is compiled.
func PlanOf(t reflect.Type) (*Plan, error) {
	root, r, terr := compile(t)
	if terr != nil {
		return nil, terr
	}
	memory, _ := root.(*memNode)
	handle, _ := root.(*handleNode)
	if handle != nil && !(handle.trusted && handle.nilable) {
		handle = nil
	}
	return &Plan{typ: t, root: root, name: t.Name(), memory: memory, handle: handle, exact: !r.marshaler && !r.opaque, foreign: r.marshaler, handles: r.handle, borrowed: r.borrowed}, nil
}

// PointerFree reports whether values of the type are copied as they lie in memory. If so, every encoded value has the size that the type has
// in memory, and decoding can fail only for a wrong length.
func (pl *Plan) PointerFree() bool { return pl.memory != nil }

// Bytes returns how many bytes each encoded value has; 0: they differ, or have none.
func (pl *Plan) Bytes() int {
	if pl.memory == nil {
		return 0
	}
	return int(pl.memory.bytes)
}

// Quick reports whether the type is a handle that is encoded in no time to speak of.
func (pl *Plan) Quick() bool { return pl.handle != nil && pl.handle.quick }

// AppendLayout appends a description of the type: its full name, and the name, type and offset of every field that can be reached from it. Two builds of one
// program give the same text if the type is the same in both; it is meant to be hashed, not to be read back.
func (pl *Plan) AppendLayout(b []byte) []byte {
	return appendLayout(b, pl.typ, make(map[reflect.Type]bool))
}
