package wire

import (
	"encoding/binary"
	"reflect"
	"unsafe"
)

type stringNode struct{}

func (stringNode) size(_ *sizer, p unsafe.Pointer) int {
	n := len(*(*string)(p))
	return uvarintLen(uint64(n)) + n
}

func (stringNode) least() int { return 1 }

func (stringNode) append(_ *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	s := *(*string)(p)
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...), nil
}

func (stringNode) decode(d *decoder, p unsafe.Pointer) *ValueError {
	n, verr := d.length(1)
	if verr != nil {
		return verr
	}
	*(*string)(p) = string(d.src[d.off : d.off+n])
	d.off += n
	return nil
}

// A sliceNode goes element by element.
type sliceNode struct {
	slice  reflect.Type
	stride uintptr
	elem   node
	unit   int // elem.least(), known once the whole type is compiled
}

func (s *sliceNode) size(z *sizer, p unsafe.Pointer) int {
	h := (*sliceHeader)(p)
	total := uvarintLen(uint64(h.len) + 1)
	if z.enter() {
		for i := 0; i < h.len && !z.over; i++ {
			total += s.elem.size(z, unsafe.Add(h.data, uintptr(i)*s.stride))
		}
	}
	z.leave()
	return total
}

func (s *sliceNode) least() int { return 1 }

func (s *sliceNode) append(e *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	h := (*sliceHeader)(p)
	if h.data == nil {
		return append(dst, 0), nil
	}
	if verr := e.enter(dst); verr != nil {
		return dst, verr
	}
	dst = binary.AppendUvarint(dst, uint64(h.len)+1)
	for i := range h.len {
		var verr *ValueError
		if dst, verr = s.elem.append(e, dst, unsafe.Add(h.data, uintptr(i)*s.stride)); verr != nil {
			return dst, verr.within(step{index: i})
		}
	}
	e.leave()
	return dst, nil
}

func (s *sliceNode) decode(d *decoder, p unsafe.Pointer) *ValueError {
	n, isNil, verr := d.count(s.unit)
	if verr != nil {
		return verr
	}
	h := (*sliceHeader)(p)
	*h = sliceHeader{}
	if isNil {
		return nil
	}
	if verr := d.enter(); verr != nil {
		return verr
	}
	// Elements hold pointers, or are too odd to be copied, so the collector must know their type: only reflection makes such memory.
	v := reflect.NewAt(s.slice, p).Elem()
	if v.Grow(roomFor(n, s.unit, s.stride)); h.data == nil {
		v.Set(reflect.MakeSlice(s.slice, 0, 0))
	}
	d.owed += n * s.unit
	for i := range n {
		if i == h.cap { // what has been decoded vouches for as much again
			h.len = i
			v.Grow(min(max(i, 1), n-i))
		}
		d.owed -= s.unit
		if verr := s.elem.decode(d, unsafe.Add(h.data, uintptr(i)*s.stride)); verr != nil {
			return verr.within(step{index: i})
		}
	}
	h.len = n
	d.leave()
	return nil
}

type arrayNode struct {
	n      int
	stride uintptr
	elem   node
	unit   int // elem.least(), known once the whole type is compiled
}

func (a *arrayNode) size(z *sizer, p unsafe.Pointer) int {
	total := 0
	for i := 0; i < a.n && !z.over; i++ {
		total += a.elem.size(z, unsafe.Add(p, uintptr(i)*a.stride))
	}
	return total
}

func (a *arrayNode) least() int { return a.n * a.elem.least() }

func (a *arrayNode) append(e *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	for i := range a.n {
		var verr *ValueError
		if dst, verr = a.elem.append(e, dst, unsafe.Add(p, uintptr(i)*a.stride)); verr != nil {
			return dst, verr.within(step{index: i})
		}
	}
	return dst, nil
}

func (a *arrayNode) decode(d *decoder, p unsafe.Pointer) *ValueError {
	d.owed += a.n * a.unit
	for i := range a.n {
		d.owed -= a.unit
		if verr := a.elem.decode(d, unsafe.Add(p, uintptr(i)*a.stride)); verr != nil {
			return verr.within(step{index: i})
		}
	}
	return nil
}

type pointerNode struct {
	to   reflect.Type
	elem node
	unit int // elem.least(), known once the whole type is compiled
}

func (n *pointerNode) size(z *sizer, p unsafe.Pointer) int {
	to := *(*unsafe.Pointer)(p)
	if to == nil {
		return 1
	}
	total := 1
	if z.enter() {
		total += n.elem.size(z, to)
	}
	z.leave()
	return total
}

func (n *pointerNode) least() int { return 1 }

func (n *pointerNode) append(e *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	to := *(*unsafe.Pointer)(p)
	if to == nil {
		return append(dst, 0), nil
	}
	if verr := e.enter(dst); verr != nil {
		return dst, verr
	}
	dst, verr := n.elem.append(e, append(dst, 1), to)
	e.leave()
	return dst, verr
}

func (n *pointerNode) decode(d *decoder, p unsafe.Pointer) *ValueError {
	flag, verr := d.take(1)
	if verr != nil {
		return verr
	}
	// One read of the flag: the byte may change under our eyes.
	switch f := flag[0]; f {
	case 0:
		*(*unsafe.Pointer)(p) = nil
		return nil
	case 1:
	default:
		return valueErrorf("byte %d where a pointer is 0 (nil) or 1", f)
	}
	if verr := d.enter(); verr != nil {
		return verr
	}
	if verr := d.need(n.unit); verr != nil {
		return verr
	}
	to := reflect.New(n.to).UnsafePointer()
	*(*unsafe.Pointer)(p) = to
	verr = n.elem.decode(d, to)
	d.leave()
	return verr
}
