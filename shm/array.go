package shm

import (
	"fmt"
	"math"
	"reflect"
	"unsafe"

	"github.com/xenonmp/xme/internal/region"
)

// Array is n elements of type T in memory that processes share. It crosses as a field of
// an argument or a result without being copied: all who have it see the same elements.
//
// T must hold no pointers. Who writes what when is the program's to order: calls that
// work at the same time should each write a part of their own (Part); a call's writes are
// there once its result is. An Array that is nil crosses as nil.
//
// In the process that made it, an Array lasts until Close; memory that is no longer used
// serves the next array of about its size. In a task it is valid until the task returns,
// unless retained. An array that a task made and returns goes over to the caller, who
// closes it. All methods may be called concurrently.
type Array[T any] struct {
	_ [0]T
	core
}

// NewArray makes an array of n elements, all zero. The memory is taken from the system
// at once: where there is too little the error wraps xme.ErrMemory. T that holds pointers
// is an error too.
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

// Slice returns the elements, valid until Close, or in a task until it returns; to touch
// them later ends the process. It panics if the array is closed: Use returns an error,
// and cannot be outlived.
func (a *Array[T]) Slice() []T {
	mem, err := a.bytes()
	if err != nil {
		panic(fmt.Sprintf("shm: Slice of an Array[%v]: %v", reflect.TypeFor[T](), err))
	}
	return sliceOf[T](mem)
}

// Use calls f with the elements, which stay until it returns: Close waits for it. It
// returns f's error, or ErrClosed without calling it.
func (a *Array[T]) Use(f func([]T) error) error {
	return a.use(func(mem []byte) error { return f(sliceOf[T](mem)) })
}

// Part returns the elements from lo up to, not including, hi as an array that lasts as
// long as a: what a call is to work on. Closing it does nothing. It panics if the bounds
// are not a's.
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

// ReadOnly returns the same elements as an array that cannot be written through, here and
// wherever it is handed over: the kernel ends a write in a fault. A task that was handed it
// and tries fails with an error that says so. Where another goroutine of it tries, or a task
// that was not handed it, as what an earlier one has retained, the worker dies, alone. It
// lasts as long as a; closing it does nothing.
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

// Retain returns the same elements as an array of the caller's own, to be closed by it: a
// task's array that its worker shall keep, for later tasks. It returns ErrClosed if a is.
func (a *Array[T]) Retain() (*Array[T], error) {
	b := &Array[T]{}
	if err := a.retain(&b.core); err != nil {
		return nil, err
	}
	return b, nil
}

// Close ends the use of the array in this process, after the Uses that run. Calls that
// have it keep it until they end. Closing twice does nothing. It must not be called in a
// Use of the same array.
func (a *Array[T]) Close() error { return a.close() }

// String describes the array, not its elements.
func (a *Array[T]) String() string {
	return fmt.Sprintf("shm.Array[%v] of %d", reflect.TypeFor[T](), a.Len())
}
