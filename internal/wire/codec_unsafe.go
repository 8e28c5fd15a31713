package wire

import "unsafe"

// A codec is pure if all its nodes are this package's own code working on memory, strings, slices and pointers. Such code keeps
// no pointer beyond the call, so v may stay on its caller's stack: noescape says so to the compiler. Marshalers, handles and
// reflection might keep one. An impure codec therefore works on a copy of *v on the heap: a shallow one, which costs an
// allocation, but only there. (Through that copy the compiler also sees that what *v points at may be kept.)

// Size returns how many bytes Append will add. It is exact, except for marshalers and values in an any, whose size is estimated
// from the strings and slices that they hold themselves. A value that is nested too deep for Append has some size or other.
func (c *Codec[T]) Size(v *T) int {
	if c.memory != nil {
		return int(c.memory.bytes)
	}
	var s sizer
	if c.pure {
		return c.root.size((*sizer)(noescape(unsafe.Pointer(&s))), noescape(unsafe.Pointer(v)))
	}
	heap := new(T)
	*heap = *v
	return c.root.size((*sizer)(noescape(unsafe.Pointer(&s))), unsafe.Pointer(heap))
}

// Append encodes *v at the end of dst and returns the longer slice. Open files in *v are duplicated into p, which may be nil if
// there are none. The error is a *ValueError; then dst is returned as it came, and p holds what it held before.
func (c *Codec[T]) Append(dst []byte, v *T, p *Parcel) ([]byte, error) {
	if c.memory != nil {
		return append(dst, bytesAt(unsafe.Pointer(v), c.memory.bytes)...), nil
	}
	e := encoder{parcel: p}
	var out []byte
	var verr *ValueError
	if c.pure {
		out, verr = c.root.append((*encoder)(noescape(unsafe.Pointer(&e))), dst, noescape(unsafe.Pointer(v)))
	} else {
		heap := new(T)
		*heap = *v
		p.beginAppend()
		out, verr = c.root.append((*encoder)(noescape(unsafe.Pointer(&e))), dst, unsafe.Pointer(heap))
		p.endAppend(verr == nil)
	}
	if verr != nil {
		return dst, verr.finish(c.name)
	}
	return out, nil
}

// Decode sets *v, all of it, to the value encoded in src; fields that were left out become zero. It consumes the whole of src:
// bytes left over are an error. Nothing in *v refers to src afterwards, which needs no alignment, and each byte of which is read
// once, so that it may lie in memory that the other side can still write. Files come out of p, which may be nil if there are
// none; if Decode fails, p keeps them. Bytes from an enemy give an error, which is a *ValueError, and never take more memory than
// a small multiple of src: at worst the largest ratio, within T, of a type's size in memory to its smallest encoded size.
// After an error *v holds nothing of use.
func (c *Codec[T]) Decode(src []byte, v *T, p *Parcel) error {
	if c.memory != nil {
		if uintptr(len(src)) != c.memory.bytes {
			return wrongLength(len(src), int(c.memory.bytes)).finish(c.name)
		}
		c.memory.load(src, unsafe.Pointer(v))
		return nil
	}
	d := decoder{src: src, parcel: p}
	var verr *ValueError
	if c.pure {
		*v = *new(T)
		verr = c.root.decode((*decoder)(noescape(unsafe.Pointer(&d))), noescape(unsafe.Pointer(v)))
		if verr == nil {
			verr = d.end()
		}
	} else {
		heap := new(T)
		p.beginDecode()
		verr = c.root.decode((*decoder)(noescape(unsafe.Pointer(&d))), unsafe.Pointer(heap))
		if verr == nil {
			verr = d.end()
		}
		p.endDecode(verr == nil)
		*v = *heap
	}
	if verr != nil {
		return verr.finish(c.name)
	}
	return nil
}

// noescape hides from escape analysis that its result is p. The caller vouches that nothing reached through the result is stored
// anywhere that outlives the call. A stack that moves meanwhile is no danger: the result is a real pointer, in a frame, and is
// adjusted with the frame. (The standard library's internal/abi.NoEscape is the model.)
//
//go:nosplit
//go:nocheckptr
func noescape(p unsafe.Pointer) unsafe.Pointer {
	x := uintptr(p)
	return *(*unsafe.Pointer)(unsafe.Pointer(&x))
}
