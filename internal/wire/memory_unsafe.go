package wire

import (
	"encoding/binary"
	"unsafe"
)

// sliceHeader is a slice of any element type, as it lies in memory.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

// bytesAt is the n bytes at p, as a slice that aliases them.
func bytesAt(p unsafe.Pointer, n uintptr) []byte { return unsafe.Slice((*byte)(p), n) }

// A memNode copies values without pointers as they lie in memory. Padding goes along with whatever it holds; it takes no part in
// == and in hashing, so it makes no difference on the other side.
type memNode struct {
	bytes uintptr
	bools []boolSpan // where bools lie in it
}

// A boolSpan is n bools, at off, off+stride, off+2*stride …; or as many structs or arrays that hold bools, laid out by sub.
type boolSpan struct {
	off, n, stride uintptr
	sub            []boolSpan
}

// normalise makes every bool of the value at p that is not 0 a 1: in Go a bool of any other value is neither true nor false.
func normalise(p unsafe.Pointer, spans []boolSpan) {
	for _, s := range spans {
		for i := range s.n {
			q := unsafe.Add(p, s.off+i*s.stride)
			if s.sub != nil {
				normalise(q, s.sub)
			} else if b := (*uint8)(q); *b > 1 {
				*b = 1
			}
		}
	}
}

// repeat is the spans of n values in a row, each of the given size.
func repeat(spans []boolSpan, n, size uintptr) []boolSpan {
	switch {
	case len(spans) == 0 || n == 0:
		return nil
	case len(spans) == 1 && spans[0].n == 1 && spans[0].sub == nil:
		return []boolSpan{{off: spans[0].off, n: n, stride: size}}
	}
	return []boolSpan{{n: n, stride: size, sub: spans}}
}

// load copies src, which has the node's size, to p.
func (m *memNode) load(src []byte, p unsafe.Pointer) {
	copy(bytesAt(p, m.bytes), src)
	if m.bools != nil {
		normalise(p, m.bools)
	}
}

func (m *memNode) size(*sizer, unsafe.Pointer) int { return int(m.bytes) }
func (m *memNode) least() int                      { return int(m.bytes) }

func (m *memNode) append(_ *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	return append(dst, bytesAt(p, m.bytes)...), nil
}

func (m *memNode) decode(d *decoder, p unsafe.Pointer) *ValueError {
	src, verr := d.take(int(m.bytes))
	if verr != nil {
		return verr
	}
	m.load(src, p)
	return nil
}

// A memSliceNode copies the elements of a slice in one piece; they hold no pointers and have a size.
type memSliceNode struct{ elem memNode }

func (s *memSliceNode) size(_ *sizer, p unsafe.Pointer) int {
	n := (*sliceHeader)(p).len
	return uvarintLen(uint64(n)+1) + n*int(s.elem.bytes)
}

func (s *memSliceNode) least() int { return 1 }

func (s *memSliceNode) append(_ *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	h := (*sliceHeader)(p)
	if h.data == nil {
		return append(dst, 0), nil
	}
	dst = binary.AppendUvarint(dst, uint64(h.len)+1)
	return append(dst, bytesAt(h.data, uintptr(h.len)*s.elem.bytes)...), nil
}

func (s *memSliceNode) decode(d *decoder, p unsafe.Pointer) *ValueError {
	n, isNil, verr := d.count(int(s.elem.bytes))
	if verr != nil {
		return verr
	}
	h := (*sliceHeader)(p)
	if isNil {
		*h = sliceHeader{}
		return nil
	}
	src, verr := d.take(n * int(s.elem.bytes))
	if verr != nil {
		return verr
	}
	data := cloneAligned(src)
	if s.elem.bools != nil {
		for i := range n {
			normalise(unsafe.Add(data, uintptr(i)*s.elem.bytes), s.elem.bools)
		}
	}
	*h = sliceHeader{data: data, len: n, cap: n}
	return nil
}

// cloneAligned copies src to memory of its own, aligned for every type without pointers; never nil.
func cloneAligned(src []byte) unsafe.Pointer {
	const align = 8
	if len(src) == 0 {
		return unsafe.Pointer(new(struct{}))
	}
	// append does not clear the memory that it is about to fill, which make would. Its memory comes in sizes that are multiples of
	// 8 and so is aligned; should that change, the other way is taken.
	b := append([]byte(nil), src...)
	if p := unsafe.Pointer(unsafe.SliceData(b)); uintptr(p)%align == 0 {
		return p
	}
	words := make([]uint64, (len(src)+align-1)/align)
	p := unsafe.Pointer(unsafe.SliceData(words))
	copy(bytesAt(p, uintptr(len(src))), src)
	return p
}

// An emptySliceNode writes a slice of elements without size by its length alone, which is bounded by maxEmpty.
type emptySliceNode struct{}

func (emptySliceNode) size(_ *sizer, p unsafe.Pointer) int {
	return uvarintLen(uint64((*sliceHeader)(p).len) + 1)
}

func (emptySliceNode) least() int { return 1 }

func (emptySliceNode) append(_ *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	h := (*sliceHeader)(p)
	switch {
	case h.data == nil:
		return append(dst, 0), nil
	case h.len > maxEmpty:
		return dst, valueErrorf("%d elements without size are more than the %d that may cross", h.len, maxEmpty)
	}
	return binary.AppendUvarint(dst, uint64(h.len)+1), nil
}

func (emptySliceNode) decode(d *decoder, p unsafe.Pointer) *ValueError {
	n, isNil, verr := d.count(0)
	if verr != nil {
		return verr
	}
	*(*[]struct{})(p) = nil
	if !isNil {
		*(*[]struct{})(p) = make([]struct{}, n)
	}
	return nil
}
