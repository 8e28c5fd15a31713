package shm

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"sync"
	"unsafe"

	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/ring"
)

// Value is one value of type T, which must hold no pointers, that processes share. It is
// read and written as a whole: up to 8 bytes by single instructions, more under a lock
// that survives its holder and that readers do not take. A process killed while it writes
// has written nothing. Beyond 8 bytes Store, Swap, CompareAndSwap and Update wait for
// other writers, without a context: a process that is stopped while it writes delays them
// until it goes on.
//
// It crosses as a field of an argument or a result; its lifetime is that of an Array. All
// methods may be called concurrently, and panic if the Value is closed, or if the task
// that was given it has ended. Each Value takes a page of memory and a descriptor: put
// many into an Array.
type Value[T any] struct {
	_ [0]T
	core
}

// NewValue makes a value that is v at first.
func NewValue[T any](v T) (*Value[T], error) {
	if t := reflect.TypeFor[T](); refused(t) != "" {
		return nil, fmt.Errorf("shm: %v %s: a value must hold no pointers", t, refused(t))
	}
	size := cellSize[T]()
	r := &Value[T]{}
	err := openLocked(&r.core, kindValue, ring.CellSize(size), func(mem []byte) error {
		word(mem, 8).Store(uint64(size))
		return ring.NewCell(mem[headSize:], size, waits{}).Store(context.Background(), me, cellBytes(&v))
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// cellSize is what a T takes: a byte at least.
func cellSize[T any]() int {
	var none T
	return max(int(unsafe.Sizeof(none)), 1)
}

// cellBytes is the memory of a value.
func cellBytes[T any](v *T) []byte {
	if b := bytesAt(v); len(b) > 0 {
		return b
	}
	return make([]byte, 1)
}

// cell returns the value's memory, which stays until unuse.
func (v *Value[T]) cell() *local {
	err := v.enter()
	if err == nil {
		var l *local
		if l, err = attach(v.region, kindValue); err == nil && l.size == cellSize[T]() {
			return l
		}
		if err == nil {
			err = region.ErrMalformed
		}
		v.unuse()
	}
	panic(fmt.Sprintf("shm: Value[%v]: %v", reflect.TypeFor[T](), err))
}

// Load returns the value.
func (v *Value[T]) Load() (now T) {
	l := v.cell()
	defer v.unuse()
	l.cell.Load(cellBytes(&now))
	return now
}

// Store replaces the value.
func (v *Value[T]) Store(next T) {
	l := v.cell()
	defer v.unuse()
	defer l.begin()()
	_ = l.cell.Store(context.Background(), me, cellBytes(&next)) // see begin
}

// begin takes this process's turn at a value that is more than a word. What follows cannot
// fail: its context does not end, and a dead process's lock is freed.
func (l *local) begin() (end func()) {
	if l.size <= 8 {
		return func() {}
	}
	_ = l.turn.Take(context.Background())
	return l.turn.Give
}

// Swap replaces the value and returns the previous one.
func (v *Value[T]) Swap(next T) (old T) {
	return v.change(func(T) (T, bool) { return next, true })
}

// CompareAndSwap replaces the value if it is old, and reports whether it did. Values are
// equal if all their fields are equal bit by bit: a NaN equals itself, and 0 does not
// equal -0. Padding between fields, and fields named _, are ignored.
func (v *Value[T]) CompareAndSwap(old, next T) (swapped bool) {
	v.change(func(now T) (T, bool) {
		swapped = sameBits(&now, &old)
		return next, swapped
	})
	return swapped
}

// sameBits compares what is in the fields of two values.
func sameBits[T any](a, b *T) bool {
	x, y := bytesAt(a), bytesAt(b)
	if bytes.Equal(x, y) {
		return true
	}
	t := reflect.TypeFor[T]()
	mask, ok := masks.Load(t)
	if !ok {
		m := make([]byte, t.Size())
		fill(m, t)
		mask, _ = masks.LoadOrStore(t, m)
	}
	for i, m := range mask.([]byte) {
		if (x[i]^y[i])&m != 0 {
			return false
		}
	}
	return true
}

// masks has of each type that was compared which of its bytes are in a field.
var masks sync.Map

// fill sets the bytes of mem, where a value of type t lies, that are in a field.
func fill(mem []byte, t reflect.Type) {
	switch t.Kind() {
	case reflect.Struct:
		for f := range t.Fields() {
			if f.Name != "_" {
				fill(mem[f.Offset:], f.Type)
			}
		}
	case reflect.Array:
		for i := range t.Len() {
			fill(mem[i*int(t.Elem().Size()):], t.Elem())
		}
	default:
		for i := range int(t.Size()) {
			mem[i] = 0xff
		}
	}
}

// Update replaces the value with what f makes of it, and returns the new value. No other
// change comes in between; f may be called several times, must not use the Value, and
// should be quick, since others wait.
func (v *Value[T]) Update(f func(now T) T) (next T) {
	v.change(func(now T) (T, bool) {
		next = f(now)
		return next, true
	})
	return next
}

// change is Update, unless f says that there is nothing to change, and returns the value before.
func (v *Value[T]) change(f func(T) (T, bool)) (old T) {
	l := v.cell()
	defer v.unuse()
	defer l.begin()()
	_ = l.cell.UpdateIf(context.Background(), me, func(b []byte) bool {
		copy(bytesAt(&old), b)
		next, changes := f(old)
		copy(b, bytesAt(&next))
		return changes
	})
	return old
}

// Number is the constraint of Add.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Add adds delta to a value and returns the sum.
func Add[T Number](v *Value[T], delta T) T {
	return v.Update(func(now T) T { return now + delta })
}

// Retain returns the same value as a handle that the caller owns and must close.
func (v *Value[T]) Retain() (*Value[T], error) {
	r := &Value[T]{}
	if err := v.retain(&r.core); err != nil {
		return nil, err
	}
	return r, nil
}

// Close ends the use of the value in this process. Closing twice does nothing.
func (v *Value[T]) Close() error { return v.close() }
