package shm

import (
	"fmt"
	"math"
	"reflect"
	"unsafe"

	"github.com/xenonmp/xme/internal/region"
)

// Array is n elements of type T in memory that processes share. It crosses as a field of
// an argument or a result without being copied: everyone who has it sees the same
// elements.
//
// T must hold no pointers. The program must order its reads and writes: calls that work
// at the same time should each write a part of their own (Part). A call's writes are
// visible once its result is there. A nil Array crosses as nil.
//
// In the process that made it, an Array lasts until Close; memory no longer in use serves
// the next array of about the same size. In a task it is valid until the task returns,
// unless retained. An array that a task makes and returns passes to the caller, who must
// close it. All methods may be called concurrently.
type Array[T any] struct {
	_ [0]T
	core
}

// NewArray makes an array of n elements, all zero. The memory is taken from the system at
// once: if there is too little, the error wraps xme.ErrMemory. It is an error too if T
// holds pointers.
func NewArray[T any](n int) (*Array[T], error) {
	size, err := sizeOf[T](n)
	if err != nil {
		return nil, err
	}
	a := &Array[T]{}
	if err := open(&a.core, size, region.Plain); err != nil {
		return nil, err
	}
	return a, nil
}

// sizeOf returns how many bytes n elements take.
func sizeOf[T any](n int) (int, error) {
	t := reflect.TypeFor[T]()
	if why := refused(t); why != "" {
		return 0, fmt.Errorf("shm: %v %s: elements must hold no pointers", t, why)
	}
	elem := int(t.Size())
	switch {
	case elem == 0:
		return 0, fmt.Errorf("shm: elements of type %v have no size", t)
	case n < 0:
		return 0, fmt.Errorf("shm: an array of %d elements: make it 0 or more", n)
	case elem > 0 && n > math.MaxInt/2/elem:
		return 0, fmt.Errorf("shm: %d elements of %d bytes are too many", n, elem)
	}
	return n * elem, nil
}

// refused says what keeps values of t from lying in shared memory; empty: nothing.
func refused(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Array:
		if t.Len() == 0 {
			return ""
		}
		return refused(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if why := refused(f.Type); why != "" {
				return "has a field " + f.Name + " that " + why
			}
		}
		return ""
	case reflect.Uintptr:
		return "is an address, which means nothing in another process"
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return ""
	default:
		return "is a pointer, or holds one"
	}
}

// Len returns the number of elements.
func (a *Array[T]) Len() int {
	var none T
	if unsafe.Sizeof(none) == 0 {
		return 0
	}
	return a.size / int(unsafe.Sizeof(none))
}

// Slice returns the elements. The slice is valid until Close, or in a task until the task
// returns; touching it later ends the process. Slice panics if the array is closed. Use,
// in contrast, returns an error then, and its elements cannot be outlived.
func (a *Array[T]) Slice() []T {
	mem, err := a.bytes()
	if err != nil {
		panic(fmt.Sprintf("shm: Slice of an Array[%v]: %v", reflect.TypeFor[T](), err))
	}
	return sliceOf[T](mem)
}

// Use calls f with the elements, which stay valid until f returns: Close waits for it. It
// returns f's error, or ErrClosed without calling f.
func (a *Array[T]) Use(f func([]T) error) error {
	return a.use(func(mem []byte) error { return f(sliceOf[T](mem)) })
}

// Part returns the elements from lo up to but not including hi as an array that lasts as
// long as a: the part that a call is to work on. Closing it does nothing. Part panics if
// the bounds are out of range.
func (a *Array[T]) Part(lo, hi int) *Array[T] {
	if lo < 0 || hi < lo || hi > a.Len() {
		panic(fmt.Sprintf("shm: Part(%d, %d) of an array of %d", lo, hi, a.Len()))
	}
	var none T
	b := a.child()
	b.off += lo * int(unsafe.Sizeof(none))
	b.size = (hi - lo) * int(unsafe.Sizeof(none))
	return b
}

// ReadOnly returns the same elements as an array that cannot be written through, here or
// wherever it is handed: the kernel turns a write into a fault. A task that was handed it
// and tries to write fails with an error that says so. If another goroutine of the task
// tries, or a task that was not handed it but has it, say, from an earlier one that
// retained it, the worker dies, and it alone. The array lasts as long as a; closing it
// does nothing.
func (a *Array[T]) ReadOnly() *Array[T] {
	b := a.child()
	b.readOnly = true
	return b
}

func (a *Array[T]) child() *Array[T] {
	b := &Array[T]{}
	b.parent, b.region, b.off, b.size, b.readOnly = &a.core, a.region, a.off, a.size, a.readOnly
	return b
}

// Retain returns the same elements as an array that the caller owns and must close, for
// example to keep a task's array in the worker for later tasks. It returns ErrClosed if a
// is closed.
func (a *Array[T]) Retain() (*Array[T], error) {
	b := &Array[T]{}
	if err := a.retain(&b.core); err != nil {
		return nil, err
	}
	return b, nil
}

// Close ends the use of the array in this process, after waiting for running calls of
// Use. Calls that were handed the array keep it until they end. Closing twice does
// nothing. Close must not be called within a Use of the same array.
func (a *Array[T]) Close() error { return a.close() }

// String describes the array, not its elements.
func (a *Array[T]) String() string {
	return fmt.Sprintf("shm.Array[%v] of %d", reflect.TypeFor[T](), a.Len())
}
