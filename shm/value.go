package shm

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/xenonmp/xme/internal/ring"
)

// Value is one value of type T, which must hold no pointers, that processes share. It is
// read and written whole: up to 8 bytes by single instructions, more under a lock that
// survives its holder, which readers do not take. A process that is killed while it
// writes has written nothing.
//
// It crosses as a field of an argument or a result; lifetime is as an Array's. All methods
// may be called concurrently, and panic once the Value is closed, or the task has ended
// that it was given. Each Value takes a page of memory and a descriptor: many go into an
// Array.
type Value[T any] struct {
	_ [0]T
	core
}

// NewValue makes a value.
func NewValue[T any](v T) (*Value[T], error) {
	if _, err := sizeOf[T](0); err != nil {
		return nil, err
	}
	size := int(unsafe.Sizeof(v))
	r := &Value[T]{}
	err := openLocked(&r.core, kindValue, ring.CellSize(size), func(mem []byte) error {
		word(mem, 8).Store(uint64(size))
		c, err := ring.NewCell(mem[headSize:], size, env)
		if err != nil {
			return err
		}
		return c.Store(context.Background(), me, bytesAt(&v))
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// cell returns the value's memory, which stays until leave.
func (v *Value[T]) cell() *local {
	err := v.enter()
	if err == nil {
		var l *local
		if l, err = attach(v.region, kindValue); err == nil {
			return l
		}
		v.unuse()
	}
	panic(fmt.Sprintf("shm: Value[%v]: %v", reflect.TypeFor[T](), err))
}

// Load returns the value.
func (v *Value[T]) Load() (now T) {
	l := v.cell()
	defer v.unuse()
	l.cell.Load(bytesAt(&now))
	return now
}

// Store replaces the value.
func (v *Value[T]) Store(next T) {
	l := v.cell()
	defer v.unuse()
	if l.cell.Word() != nil {
		_ = l.cell.Store(context.Background(), me, bytesAt(&next)) // cannot fail: nothing is waited for
		return
	}
	v.update(l, func(b []byte) { copy(b, bytesAt(&next)) })
}

// update has f change the value; it cannot fail, for its context does not end and a dead
// process's lock is freed.
func (v *Value[T]) update(l *local, f func([]byte)) {
	_ = l.turn.take(context.Background())
	defer l.turn.give()
	_ = l.cell.Update(context.Background(), me, f)
}

// Swap replaces the value and returns what it was.
func (v *Value[T]) Swap(next T) (old T) {
	return v.change(func(T) T { return next })
}

// CompareAndSwap replaces the value if it is old, byte by byte, and reports whether it was.
func (v *Value[T]) CompareAndSwap(old, next T) (swapped bool) {
	v.change(func(now T) T {
		if swapped = bytes.Equal(bytesAt(&now), bytesAt(&old)); swapped {
			return next
		}
		return now
	})
	return swapped
}

// Update has f make a new value of the present one, and returns it. Nobody else's change
// comes between; f may be called several times, must not use the Value, and should be
// quick: others wait.
func (v *Value[T]) Update(f func(now T) T) (next T) {
	v.change(func(now T) T {
		next = f(now)
		return next
	})
	return next
}

// change is Update, and returns the value before.
func (v *Value[T]) change(f func(T) T) (old T) {
	l := v.cell()
	defer v.unuse()
	step := func(b []byte) {
		copy(bytesAt(&old), b)
		next := f(old)
		copy(b, bytesAt(&next))
	}
	if l.cell.Word() != nil {
		_ = l.cell.Update(context.Background(), me, step)
		return old
	}
	v.update(l, step)
	return old
}

// Number is what Add adds.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Add adds to a value and returns the sum.
func Add[T Number](v *Value[T], delta T) T {
	return v.Update(func(now T) T { return now + delta })
}

// Retain returns the same value as the caller's own, to be closed by it.
func (v *Value[T]) Retain() (*Value[T], error) {
	r := &Value[T]{}
	if err := v.retain(&r.core); err != nil {
		return nil, err
	}
	return r, nil
}

// Close ends the use of the value in this process. Closing twice does nothing.
func (v *Value[T]) Close() error { return v.close() }
