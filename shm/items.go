package shm

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"unsafe"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// ErrEnded is what putting into a queue, or sending into a pipe, returns that has been
// ended.
var ErrEnded = xme.RegisterError("github.com/xenonmp/xme/shm.ErrEnded", ring.ErrEnded)

// items says how values of T lie in a queue: as they lie in memory, or encoded.
type items[T any] struct {
	elem  int // bytes; 0: they differ
	codec *wire.Codec[T]
}

// itemsOf caches items by type.
var itemsOf sync.Map

func newItems[T any]() (*items[T], error) {
	t := reflect.TypeFor[T]()
	if it, ok := itemsOf.Load(t); ok {
		return it.(*items[T]), nil
	}
	it := &items[T]{}
	if refused(t) == "" {
		it.elem = max(int(t.Size()), 1)
	} else {
		c, err := wire.CodecFor[T]()
		if err != nil {
			return nil, fmt.Errorf("shm: items cannot cross: %w", err)
		}
		if c.Handles() {
			return nil, fmt.Errorf("shm: items of type %v hold shared memory or open files, which travel with calls only: pass them as arguments", t)
		}
		it.codec = c
	}
	got, _ := itemsOf.LoadOrStore(t, it)
	return got.(*items[T]), nil
}

// mustItems is newItems for a type that a queue was made of.
func mustItems[T any]() *items[T] {
	it, err := newItems[T]()
	if err != nil {
		panic(err)
	}
	return it
}

// memory is the bytes of s, whose elements have no pointers.
func (it *items[T]) memory(s []T) []byte {
	var none T
	if unsafe.Sizeof(none) == 0 {
		return make([]byte, len(s)) // a byte stands for each
	}
	return bytesOf(s)
}

// put puts values, waiting for room until ctx ends, and returns how many it has put.
func (it *items[T]) put(ctx context.Context, c *core, s *side, vs []T) (n int, err error) {
	if n, err = it.tryPut(s, vs); n == len(vs) || !errors.Is(err, ring.ErrWouldWait) {
		return n, err
	}
	ctx, stop := c.bound(ctx)
	defer stop()
	if err := s.put.take(ctx); err != nil {
		return n, err
	}
	defer s.put.give()
	if it.codec == nil {
		m, err := s.PutFixed(ctx, me, it.memory(vs[n:]))
		return n + m, err
	}
	for ; n < len(vs) && err == nil; n++ {
		var item []byte
		if item, err = it.encode(&vs[n]); err == nil {
			err = s.PutVar(ctx, me, item)
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// tryPut puts what there is room for at once. ring.ErrWouldWait: not all.
func (it *items[T]) tryPut(s *side, vs []T) (n int, err error) {
	if !s.put.try() {
		return 0, ring.ErrWouldWait
	}
	defer s.put.give()
	if it.codec == nil {
		return s.TryPutFixed(me, it.memory(vs))
	}
	for ; n < len(vs); n++ {
		item, err := it.encode(&vs[n])
		if err == nil {
			err = s.TryPutVar(me, item)
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (it *items[T]) encode(v *T) ([]byte, error) {
	b, err := it.codec.Append(nil, v, nil)
	if err != nil {
		return nil, fmt.Errorf("shm: item: %w", err)
	}
	return b, nil
}

// get waits for a value until ctx ends, and takes as many as are there and fit.
func (it *items[T]) get(ctx context.Context, c *core, s *side, dst []T) (n int, err error) {
	if len(dst) == 0 {
		return 0, nil
	}
	if n, err = it.tryGet(s, dst); !errors.Is(err, ring.ErrWouldWait) {
		return n, err
	}
	ctx, stop := c.bound(ctx)
	defer stop()
	if err := s.get.take(ctx); err != nil {
		return 0, err
	}
	defer s.get.give()
	if it.codec == nil {
		return it.from(dst, func(b []byte) (int, error) { return s.GetFixed(ctx, me, b) })
	}
	if err := s.GetVar(ctx, me, it.decode(&dst[0])); err != nil {
		return 0, dropped(err, s)
	}
	return it.more(s, dst, 1)
}

// tryGet takes what is there. ring.ErrWouldWait: nothing.
func (it *items[T]) tryGet(s *side, dst []T) (n int, err error) {
	if !s.get.try() {
		return 0, ring.ErrWouldWait
	}
	defer s.get.give()
	if it.codec == nil {
		return it.from(dst, func(b []byte) (int, error) { return s.TryGetFixed(me, b) })
	}
	return it.more(s, dst, 0)
}

// more takes items that are there, to dst from the n-th on. This process's turn is taken.
func (it *items[T]) more(s *side, dst []T, n int) (int, error) {
	for ; n < len(dst); n++ {
		err := s.TryGetVar(me, it.decode(&dst[n]))
		var bad *itemError
		switch {
		case err == nil:
		case n == 0 || errors.As(err, &bad):
			return n, dropped(err, s) // what is bad is gone: who asks again gets the next
		default:
			return n, nil // the next call says it again
		}
	}
	return n, nil
}

// from has elements copied to dst.
func (it *items[T]) from(dst []T, get func([]byte) (int, error)) (int, error) {
	var none T
	if unsafe.Sizeof(none) == 0 {
		return get(make([]byte, len(dst)))
	}
	return get(bytesOf(dst))
}

// decode returns a function that makes a value of an item. It copies the item first:
// another process could change it meanwhile.
func (it *items[T]) decode(v *T) func([]byte) error {
	return func(item []byte) error {
		if err := it.codec.Decode(append([]byte(nil), item...), v, nil); err != nil {
			return &itemError{err}
		}
		return nil
	}
}

// dropped says that an item which cannot be decoded is dealt with, so that nobody waits
// for it.
func dropped(err error, s *side) error {
	if _, ok := errors.AsType[*itemError](err); ok {
		_ = s.Done(me, 1)
	}
	return err
}

// itemError says that an item could not be decoded. It has been taken all the same.
type itemError struct{ err error }

func (e *itemError) Error() string {
	return "shm: an item that cannot be decoded was dropped: " + e.err.Error()
}
func (e *itemError) Unwrap() error { return e.err }
