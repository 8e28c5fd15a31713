package wire

import "unsafe"

// The nodes of a codec reach a value through unsafe.Pointer and interface methods, where the compiler cannot see that they keep no
// pointer. (Some do: a marshaler may keep its receiver.) So a value that is not plain memory is worked on in a copy on the heap,
// shallow, together with the walk's own state: one allocation, and no pointer into a stack, which may move. It is used again,
// unless a marshaler may have kept it.

// work is the copy of a value and the state of a walk over it.
type work[T any] struct {
	v T
	s sizer
	e encoder
	d decoder
}

func (c *Codec[T]) begin() *work[T] {
	if w, _ := c.works.Get().(*work[T]); w != nil {
		return w
	}
	return new(work[T])
}

func (c *Codec[T]) end(w *work[T]) {
	if !c.foreign {
		*w = work[T]{}
		c.works.Put(w)
	}
}

// Size returns how many bytes Append will add. It is exact, except for marshalers and values in an any, whose size is estimated
// from the strings and slices that they hold themselves, and for handles (see Exact). A value that is nested too deep for Append
// has some size or other.
func (c *Codec[T]) Size(v *T) int {
	if c.memory != nil {
		return int(c.memory.bytes)
	}
	w := c.begin()
	w.v = *v
	n := c.root.size(&w.s, unsafe.Pointer(&w.v))
	if w.s.entered > mostEncoded {
		n = max(n, mostEncoded+1)
	}
	c.end(w)
	return n
}

// Append encodes *v at the end of dst and returns the longer slice. Open files in *v are duplicated into p, which may be nil if
// there are none. The error is a *ValueError; then dst is returned as it came, and p holds what it held before.
func (c *Codec[T]) Append(dst []byte, v *T, p *Parcel) ([]byte, error) {
	if c.memory != nil {
		return append(dst, bytesAt(unsafe.Pointer(v), c.memory.bytes)...), nil
	}
	if c.handle != nil && p != nil {
		return c.appendHandle(dst, v, p)
	}
	w := c.begin()
	w.v = *v
	w.e.begin(dst, p)
	p.beginAppend()
	out, verr := c.root.append(&w.e, dst, unsafe.Pointer(&w.v))
	p.endAppend(verr == nil)
	c.end(w)
	if verr != nil {
		return dst, verr.finish(c.name)
	}
	return out, nil
}

// Decode sets *v, all of it, to the value encoded in src; fields that were left out become zero. It consumes the whole of src:
// bytes left over are an error. Nothing in *v refers to src afterwards, which needs no alignment, and each byte of which is read
// once, so that it may lie in memory that the other side can still write. Files come out of p, which may be nil if there are
// none; if Decode fails, p keeps them. Values may be moved once they are decoded, as append moves them. Bytes from an enemy give an
// error, which is a *ValueError, and never take more memory than a small multiple of src: 64 bytes for each that a count or a
// length lays claim to, and for what has been decoded, at worst the largest ratio, within T, of a type's size in memory to its
// smallest encoded size. (What the methods of a marshaler take is their own affair.) After an error *v holds nothing of use.
func (c *Codec[T]) Decode(src []byte, v *T, p *Parcel) error {
	if c.memory != nil {
		if uintptr(len(src)) != c.memory.bytes {
			return wrongLength(len(src), int(c.memory.bytes)).finish(c.name)
		}
		c.memory.load(src, unsafe.Pointer(v))
		return nil
	}
	if c.handle != nil && p != nil {
		return c.decodeHandle(src, v, p)
	}
	w := c.begin()
	w.d = decoder{src: src, parcel: p}
	p.beginDecode()
	verr := c.root.decode(&w.d, unsafe.Pointer(&w.v))
	if verr == nil {
		verr = w.d.end()
	}
	p.endDecode(verr == nil)
	*v = w.v
	c.end(w)
	if verr != nil {
		return verr.finish(c.name)
	}
	return nil
}

// pointer is one to a value of any type.
type pointer = unsafe.Pointer

// appendHandle is Append where T is a handle itself. Its pointer lies in the parcel meanwhile, which is on the heap already.
func (c *Codec[T]) appendHandle(dst []byte, v *T, p *Parcel) ([]byte, error) {
	p.handle = *(*unsafe.Pointer)(unsafe.Pointer(v))
	p.beginAppend()
	out, verr := c.handle.append(&encoder{parcel: p, limit: len(dst) + mostEncoded}, dst, unsafe.Pointer(&p.handle))
	p.endAppend(verr == nil)
	p.handle = nil
	if verr != nil {
		return dst, verr.finish(c.name)
	}
	return out, nil
}

// decodeHandle is Decode where T is a handle itself.
func (c *Codec[T]) decodeHandle(src []byte, v *T, p *Parcel) error {
	d := decoder{src: src, parcel: p}
	p.beginDecode()
	verr := c.handle.decode(&d, unsafe.Pointer(&p.handle))
	if verr == nil {
		verr = d.end()
	}
	p.endDecode(verr == nil)
	*(*unsafe.Pointer)(unsafe.Pointer(v)) = p.handle
	p.handle = nil
	if verr != nil {
		return verr.finish(c.name)
	}
	return nil
}

// AppendNested is Append for a value inside of one that is being encoded with the same p: the outer Append undoes what a failed one put into p.
func (c *Codec[T]) AppendNested(dst []byte, v *T, p *Parcel) ([]byte, error) {
	w := c.begin()
	w.v = *v
	w.e.begin(dst, p)
	out, verr := c.root.append(&w.e, dst, unsafe.Pointer(&w.v))
	c.end(w)
	if verr != nil {
		return dst, verr.finish(c.name)
	}
	return out, nil
}

// DecodeNested is AppendNested's other end: the outer Decode undoes what a failed one took from p.
func (c *Codec[T]) DecodeNested(src []byte, v *T, p *Parcel) error {
	w := c.begin()
	w.d = decoder{src: src, parcel: p}
	verr := c.root.decode(&w.d, unsafe.Pointer(&w.v))
	if verr == nil {
		verr = w.d.end()
	}
	*v = w.v
	c.end(w)
	if verr != nil {
		return verr.finish(c.name)
	}
	return nil
}
