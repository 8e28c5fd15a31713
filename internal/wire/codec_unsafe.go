package wire

import (
	"reflect"
	"unsafe"
)

// The nodes of a codec reach a value through unsafe.Pointer and interface methods, where the compiler cannot see that they keep no
// pointer. (Some do: a marshaler may keep its receiver.) So a value that is not plain memory is worked on in a copy on the heap,
// shallow, and no pointer leads into a stack, which may move. The walk's own state is used again, and so is the copy
// unless a marshaler may have kept it.

// work is a variable of a plan's type, for the copy of a value, and the state of a walk over it.
type work struct {
	v    unsafe.Pointer
	held reflect.Value // the variable
	s    sizer
	e    encoder
	d    decoder
}

func (pl *Plan) begin() *work {
	w, _ := pl.works.Get().(*work)
	if w == nil {
		w = new(work)
	}
	if w.v == nil {
		v := reflect.New(pl.typ)
		w.v, w.held = v.UnsafePointer(), v.Elem()
	}
	return w
}

func (pl *Plan) end(w *work) {
	if pl.foreign {
		w.v, w.held = nil, reflect.Value{}
	} else {
		w.held.SetZero()
	}
	w.s, w.e, w.d = sizer{}, encoder{}, decoder{}
	pl.works.Put(w)
}

// Size returns how many bytes Append will add. It is exact, except for marshalers and values in an any, whose size is estimated
// from the strings and slices that they hold themselves, and for handles (see Exact). A value that is nested too deep for Append
// has some size or other.
func Size[T any](c Codec[T], v *T) int {
	pl := c.Plan
	if pl.memory != nil {
		return int(pl.memory.bytes)
	}
	w := pl.begin()
	*(*T)(w.v) = *v
	return pl.size(w)
}

func (pl *Plan) size(w *work) int {
	n := pl.root.size(&w.s, w.v)
	if w.s.entered > mostEncoded {
		n = max(n, mostEncoded+1)
	}
	pl.end(w)
	return n
}

// Append encodes *v at the end of dst and returns the longer slice. Open files in *v are duplicated into p, which may be nil if
// there are none. The error is a *ValueError; then dst is returned as it came, and p holds what it held before.
func Append[T any](c Codec[T], dst []byte, v *T, p *Parcel) ([]byte, error) {
	pl := c.Plan
	switch {
	case pl.memory != nil:
		return append(dst, bytesAt(unsafe.Pointer(v), pl.memory.bytes)...), nil
	case pl.handle != nil && p != nil:
		return pl.appendHandle(dst, *(*unsafe.Pointer)(unsafe.Pointer(v)), p)
	}
	w := pl.begin()
	*(*T)(w.v) = *v
	return pl.append(dst, w, p)
}

func (pl *Plan) append(dst []byte, w *work, p *Parcel) ([]byte, error) {
	p.beginAppend()
	out, err := pl.appendNested(dst, w, p)
	p.endAppend(err == nil)
	return out, err
}

// Decode sets *v, all of it, to the value encoded in src; fields that were left out become zero. It consumes the whole of src:
// bytes left over are an error. Nothing in *v refers to src afterwards, which needs no alignment, and each byte of which is read
// once, so that it may lie in memory that the other side can still write. Files come out of p, which may be nil if there are
// none; if Decode fails, p keeps them. Values may be moved once they are decoded, as append moves them. Bytes from an enemy give an
// error, which is a *ValueError, and never take more memory than a small multiple of src: 64 bytes for each that a count or a
// length lays claim to, and for what has been decoded, at worst the largest ratio, within T, of a type's size in memory to its
// smallest encoded size. (What the methods of a marshaler take is their own affair.) After an error *v holds nothing of use.
func Decode[T any](c Codec[T], src []byte, v *T, p *Parcel) error {
	pl := c.Plan
	switch {
	case pl.memory != nil:
		if uintptr(len(src)) != pl.memory.bytes {
			return pl.misfit(src)
		}
		pl.memory.load(src, unsafe.Pointer(v))
		return nil
	case pl.handle != nil && p != nil:
		h, err := pl.decodeHandle(src, p)
		*(*unsafe.Pointer)(unsafe.Pointer(v)) = h
		return err
	}
	w := pl.begin()
	err := pl.decode(src, w, p)
	*v = *(*T)(w.v)
	pl.end(w)
	return err
}

// misfit is the error of bytes that are not as many as values of the type have, which are copied as they lie.
func (pl *Plan) misfit(src []byte) error {
	return wrongLength(len(src), int(pl.memory.bytes)).finish(pl.name)
}

func (pl *Plan) decode(src []byte, w *work, p *Parcel) error {
	p.beginDecode()
	err := pl.decodeNested(src, w, p)
	p.endDecode(err == nil)
	return err
}

// AppendAny is Append of a value of the type that is not known when the program is compiled.
func (pl *Plan) AppendAny(dst []byte, v reflect.Value, p *Parcel) ([]byte, error) {
	w := pl.begin()
	w.held.Set(v)
	return pl.append(dst, w, p)
}

// DecodeAny is Decode for a type that is not known when the program is compiled: it returns the value, which can be set.
func (pl *Plan) DecodeAny(src []byte, p *Parcel) (reflect.Value, error) {
	w := pl.begin()
	err := pl.decode(src, w, p)
	v := reflect.New(pl.typ).Elem()
	v.Set(w.held)
	pl.end(w)
	return v, err
}

// pointer is one to a value of any type.
type pointer = unsafe.Pointer

// appendHandle is Append where the type is a handle itself. Its pointer lies in the parcel meanwhile, which is on the heap already.
func (pl *Plan) appendHandle(dst []byte, v unsafe.Pointer, p *Parcel) ([]byte, error) {
	p.handle = v
	p.beginAppend()
	out, verr := pl.handle.append(&encoder{parcel: p, limit: len(dst) + mostEncoded}, dst, unsafe.Pointer(&p.handle))
	p.endAppend(verr == nil)
	p.handle = nil
	if verr != nil {
		return dst, verr.finish(pl.name)
	}
	return out, nil
}

// decodeHandle is Decode where the type is a handle itself.
func (pl *Plan) decodeHandle(src []byte, p *Parcel) (unsafe.Pointer, error) {
	d := decoder{src: src, parcel: p}
	p.beginDecode()
	verr := pl.handle.decode(&d, unsafe.Pointer(&p.handle))
	if verr == nil {
		verr = d.end()
	}
	p.endDecode(verr == nil)
	v := p.handle
	p.handle = nil
	if verr != nil {
		return v, verr.finish(pl.name)
	}
	return v, nil
}

// AppendNested is Append for a value inside of one that is being encoded with the same p: the outer Append undoes what a failed one put into p.
func AppendNested[T any](c Codec[T], dst []byte, v *T, p *Parcel) ([]byte, error) {
	w := c.Plan.begin()
	*(*T)(w.v) = *v
	return c.Plan.appendNested(dst, w, p)
}

func (pl *Plan) appendNested(dst []byte, w *work, p *Parcel) ([]byte, error) {
	w.e.begin(dst, p)
	out, verr := pl.root.append(&w.e, dst, w.v)
	pl.end(w)
	if verr != nil {
		return dst, verr.finish(pl.name)
	}
	return out, nil
}

// DecodeNested is AppendNested's other end: the outer Decode undoes what a failed one took from p.
func DecodeNested[T any](c Codec[T], src []byte, v *T, p *Parcel) error {
	w := c.Plan.begin()
	err := c.Plan.decodeNested(src, w, p)
	*v = *(*T)(w.v)
	c.Plan.end(w)
	return err
}

func (pl *Plan) decodeNested(src []byte, w *work, p *Parcel) error {
	w.d = decoder{src: src, parcel: p}
	verr := pl.root.decode(&w.d, w.v)
	if verr == nil {
		verr = w.d.end()
	}
	if verr != nil {
		return verr.finish(pl.name)
	}
	return nil
}
