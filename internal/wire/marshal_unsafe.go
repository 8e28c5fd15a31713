package wire

import (
	"encoding/binary"
	"reflect"
	"unsafe"
)

// A marshalNode encodes by the methods of the type itself. A method may keep its receiver. What the
// methods get of src is a copy, so one that keeps it breaks nothing, and src may change meanwhile.
type marshalNode struct {
	typ  reflect.Type
	way  *dialect
	held []heldSlice
}

// A heldSlice is a string or slice that a value holds itself, for the estimate of its size.
type heldSlice struct{ off, elem uintptr }

func newMarshalNode(t reflect.Type, way *dialect) *marshalNode {
	n := &marshalNode{typ: t, way: way}
	hold := func(t reflect.Type, off uintptr) {
		switch t.Kind() {
		case reflect.String:
			n.held = append(n.held, heldSlice{off, 1})
		case reflect.Slice:
			n.held = append(n.held, heldSlice{off, t.Elem().Size()})
		}
	}
	hold(t, 0)
	if t.Kind() == reflect.Struct {
		for field := range t.Fields() {
			hold(field.Type, field.Offset)
		}
	}
	return n
}

// size is an estimate. (A string's length lies where a slice's does.)
func (m *marshalNode) size(_ *sizer, p unsafe.Pointer) int {
	total := 2 + int(m.typ.Size())
	for _, h := range m.held {
		total += *(*int)(unsafe.Add(p, h.off+unsafe.Sizeof(p))) * int(h.elem)
	}
	return total
}

func (m *marshalNode) least() int { return 1 }

func (m *marshalNode) append(_ *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	v := reflect.NewAt(m.typ, p).Interface()
	var out []byte
	err := guard(func() (err error) {
		out, err = m.way.write(v)
		return err
	})
	if err != nil {
		return dst, &ValueError{Reason: m.typ.String() + "." + m.way.name, err: err}
	}
	return append(binary.AppendUvarint(dst, uint64(len(out))), out...), nil
}

func (m *marshalNode) decode(d *decoder, p unsafe.Pointer) *ValueError {
	n, verr := d.length(1)
	if verr != nil {
		return verr
	}
	src, verr := d.take(n)
	if verr != nil {
		return verr
	}
	own := append(make([]byte, 0, n), src...)
	v := reflect.NewAt(m.typ, p).Interface()
	err := guard(func() error { return m.way.read(v, own) })
	if err != nil {
		return &ValueError{Reason: m.typ.String() + "." + m.way.reads, err: err}
	}
	return nil
}
