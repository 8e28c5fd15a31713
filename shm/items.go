package shm

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"
	"unsafe"

	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// ErrEnded is what putting into a queue, or sending into a pipe, returns that has been
// ended.
var ErrEnded = ring.ErrEnded

// spinFor is how long one looks for an item, or for room, before sleeping: about as long as
// it takes to be woken.
const spinFor = 20 * time.Microsecond

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
	if n, err = it.tryPut(s, vs); n == len(vs) || err != nil {
		return n, err
	}
	ctx, stop := c.bound(ctx)
	defer stop()
	if err := s.put.take(ctx); err != nil {
		return n, err
	}
	defer s.put.give()
	if it.codec == nil {
		m, err := s.Put(ctx, me, it.memory(vs[n:]))
		return n + m, err
	}
	for ; n < len(vs); n++ {
		item, err := it.encode(&vs[n])
		if err == nil {
			err = s.PutItem(ctx, me, item)
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// tryPut puts what there is room for at once.
func (it *items[T]) tryPut(s *side, vs []T) (n int, err error) {
	if !s.put.try() {
		return 0, nil
	}
	defer s.put.give()
	if it.codec == nil {
		return s.TryPut(me, it.memory(vs))
	}
	for ; n < len(vs); n++ {
		item, err := it.encode(&vs[n])
		ok := false
		if err == nil {
			ok, err = s.TryPutItem(me, item)
		}
		if !ok || err != nil {
			return n, err
		}
	}
	return n, nil
}

func (it *items[T]) encode(v *T) ([]byte, error) {
	b, err := it.codec.Append(nil, v, nil)
	if err != nil {
		return nil, fmt.Errorf("item: %w", err)
	}
	return b, nil
}

// get waits for a value until ctx ends, and takes as many as are there and fit.
func (it *items[T]) get(ctx context.Context, c *core, s *side, dst []T) (n int, err error) {
	if n, err = it.tryGet(s, dst); n > 0 || err != nil || len(dst) == 0 {
		return n, err
	}
	ctx, stop := c.bound(ctx)
	defer stop()
	if err := s.get.take(ctx); err != nil {
		return 0, err
	}
	defer s.get.give()
	if it.codec == nil {
		return it.from(dst, func(b []byte) (int, error) { return s.Get(ctx, me, b) })
	}
	err = s.GetItem(ctx, me, it.decode(&dst[0]))
	if err != nil {
		return 0, bad(err, s)
	}
	n, err = it.more(s, dst[1:])
	return 1 + n, err
}

// tryGet takes what is there.
func (it *items[T]) tryGet(s *side, dst []T) (n int, err error) {
	if !s.get.try() {
		return 0, nil
	}
	defer s.get.give()
	if it.codec == nil {
		return it.from(dst, func(b []byte) (int, error) { return s.TryGet(me, b) })
	}
	return it.more(s, dst)
}

// more takes items that are there. This process's turn is taken.
func (it *items[T]) more(s *side, dst []T) (n int, err error) {
	for ; n < len(dst); n++ {
		ok, err := s.TryGetItem(me, it.decode(&dst[n]))
		switch {
		case err != nil && n > 0 && !errors.As(err, new(*itemError)):
			return n, nil // the next time
		case err != nil:
			return n, bad(err, s)
		case !ok:
			return n, nil
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

// itemError says that an item could not be decoded.
type itemError struct{ err error }

func (e *itemError) Error() string { return "shm: item dropped: " + e.err.Error() }
func (e *itemError) Unwrap() error { return e.err }

// bad drops an item that cannot be decoded, so that it is not met again.
func bad(err error, s *side) error {
	if errors.As(err, new(*itemError)) {
		_, _ = s.TryGetItem(me, func([]byte) error { return nil })
	}
	return err
}
