package shm

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// View is a slice that a call borrows: it crosses as a field of an argument and is read
// where it lies, in memory that all workers share, without being copied into each. It is
// read-only there, and valid until the task returns.
//
// A slice that lies in an Array is handed over as it is. Any other is copied into shared
// memory, which is reused, whenever a call that names it is made: put what many calls are
// to read, such as the rows of a Map, into an Array first. The zero View is empty.
type View[T any] struct {
	s  []T
	in region.Mark // that s lies in
}

// ViewOf makes a view of s, which must not change until the call it is for has been made
// or, if s lies in an Array, has ended. It is an error if T holds pointers.
func ViewOf[T any](s []T) (View[T], error) {
	if _, err := sizeOf[T](0); err != nil {
		return View[T]{}, err
	}
	return View[T]{s, markOf(bytesOf(s))}, nil
}

// Slice returns the elements; in a task they are valid until it returns. They must not be
// written: in a task that is a fault, which ends the task.
func (v View[T]) Slice() []T { return v.s }

// Len returns the number of elements.
func (v View[T]) Len() int { return len(v.s) }

// String describes the view, not its elements.
func (v View[T]) String() string {
	return fmt.Sprintf("shm.View[%v] of %d", reflect.TypeFor[T](), len(v.s))
}

var errViewResult = errors.New("a View is borrowed and cannot be a result: return a slice or an Array")

var errViewClosed = errors.New("the array that the view is of has been closed")

// appendView encodes a view of the elements at mem, which lie in a region if there is a
// mark.
func appendView(dst []byte, mem []byte, in region.Mark, p *wire.Parcel) ([]byte, error) {
	switch {
	case len(mem) == 0:
		return dst, nil
	case p == nil:
		return dst, p.Put(nil)
	case p.Result:
		return dst, errViewResult
	}
	r, off := in.Retain()
	switch {
	case r != nil:
	case !in.Zero():
		return dst, errViewClosed
	default:
		var err error
		if r, err = region.New(len(mem), region.Sealed, false); err != nil {
			return dst, memoryError(err)
		}
		to, err := r.Bytes(true)
		if err != nil {
			r.Release()
			return dst, err
		}
		copy(to, mem)
	}
	err := p.Put(r)
	r.Release() // the parcel has one
	if err != nil {
		return dst, err
	}
	return appendPart(dst, r, flagReadOnly, off, len(mem)), nil
}

// decodeView returns the memory of a view, which ends with its task, and where that lies.
func decodeView(src []byte, p *wire.Parcel, elem, align int) (mem []byte, in region.Mark, err error) {
	if len(src) == 0 {
		return nil, in, nil
	}
	c := &core{}
	if err := c.decode(src, p, elem, align); err != nil {
		return nil, in, err
	}
	mem, err = c.mapped()
	return mem, c.region.Mark(c.off), err
}
