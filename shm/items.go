package shm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"unsafe"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// ErrEnded is returned when an item is put into a queue, or sent into a pipe, that has
// been ended.
var ErrEnded = xme.RegisterError("github.com/xenonmp/xme/shm.ErrEnded", ring.ErrEnded)

// ErrTooLarge is wrapped by the error for putting or sending an item whose encoding takes
// more bytes than there is room for in all.
var ErrTooLarge = xme.RegisterError("github.com/xenonmp/xme/shm.ErrTooLarge", ring.ErrTooLarge)

// items says how values of T lie in a queue: as they lie in memory, or encoded.
type items[T any] struct {
	elem  int // bytes; 0: they differ
	codec wire.Codec[T]
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
		if c.Plan.Handles() {
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
	if ctx.Err() != nil {
		return 0, notOurs(ctx, context.Cause(ctx))
	}
	n, err = it.putAll(ctx, c, s, vs)
	return n, notOurs(ctx, err)
}

// notOurs returns err, but with a text before it if it is what ctx has ended with, and would say of this queue that it has ended, or is closed, or that an item of it is bad: an
// errgroup ends its context with what one of its functions got from another queue.
func notOurs(ctx context.Context, err error) error {
	_, item := err.(*ItemError)                                                                                          //nolint:errorlint // what wraps it is taken for none
	if (item || err == io.EOF || err == ErrEnded || err == ErrClosed) && ctx.Err() != nil && context.Cause(ctx) == err { //nolint:errorlint // identity is meant
		return fmt.Errorf("shm: the context has ended: %w", err)
	}
	return err
}

func (it *items[T]) putAll(ctx context.Context, c *core, s *side, vs []T) (n int, err error) {
	if it.codec.Plan != nil {
		return it.putEncoded(vs, func(lot [][]byte) (int, error) { return s.putVar(ctx, c, lot) })
	}
	if n, err = it.tryPut(s, vs); !errors.Is(err, ring.ErrWouldWait) {
		return n, err
	}
	ctx, stop := c.bound(ctx)
	defer stop()
	if err := s.put.Take(ctx); err != nil {
		return n, err
	}
	defer s.put.Give()
	m, err := s.PutFixed(ctx, me, it.memory(vs[n:]))
	return n + m, err
}

// tryPut puts what there is room for at once. ring.ErrWouldWait: not all.
func (it *items[T]) tryPut(s *side, vs []T) (n int, err error) {
	if len(vs) == 0 {
		return 0, nil
	}
	if it.codec.Plan != nil {
		return it.putEncoded(vs, s.tryPutVar)
	}
	if !s.put.Try() {
		return 0, ring.ErrWouldWait
	}
	defer s.put.Give()
	return s.TryPutFixed(me, it.memory(vs))
}

// lotSize is about how many bytes of items are encoded before they are put: a Marshal of the user's runs while nobody waits for it.
const lotSize = 64 << 10

// putEncoded encodes values and has put put them, lot by lot.
func (it *items[T]) putEncoded(vs []T, put func(lot [][]byte) (int, error)) (n int, err error) {
	for n < len(vs) {
		var lot [][]byte
		var bad error
		for size := 0; size < lotSize && n+len(lot) < len(vs); {
			item, err := wire.Append(it.codec, nil, &vs[n+len(lot)], nil)
			if err != nil {
				bad = fmt.Errorf("shm: item: %w", err)
				break
			}
			lot, size = append(lot, item), size+len(item)
		}
		m, err := put(lot)
		if n += m; err != nil || bad != nil {
			return n, cmp.Or(err, bad)
		}
	}
	return n, nil
}

// putVar puts encoded items, waiting for room until ctx ends, and returns how many it has put.
func (s *side) putVar(ctx context.Context, c *core, lot [][]byte) (n int, err error) {
	if n, err = s.tryPutVar(lot); !errors.Is(err, ring.ErrWouldWait) {
		return n, err
	}
	ctx, stop := c.bound(ctx)
	defer stop()
	if err := s.put.Take(ctx); err != nil {
		return n, err
	}
	defer s.put.Give()
	for ; n < len(lot); n++ {
		if err := s.PutVar(ctx, me, lot[n]); err != nil {
			return n, err
		}
	}
	return n, nil
}

// tryPutVar is tryPut for encoded items.
func (s *side) tryPutVar(lot [][]byte) (n int, err error) {
	if len(lot) == 0 {
		return 0, nil
	}
	if !s.put.Try() {
		return 0, ring.ErrWouldWait
	}
	defer s.put.Give()
	for ; n < len(lot); n++ {
		if err := s.TryPutVar(me, lot[n]); err != nil {
			return n, err
		}
	}
	return n, nil
}

// get waits for a value until ctx ends, and takes as many as are there and fit.
func (it *items[T]) get(ctx context.Context, c *core, s *side, dst []T) (n int, err error) {
	if ctx.Err() != nil {
		return 0, notOurs(ctx, context.Cause(ctx))
	}
	n, err = it.getSome(ctx, c, s, dst)
	return n, notOurs(ctx, err)
}

func (it *items[T]) getSome(ctx context.Context, c *core, s *side, dst []T) (n int, err error) {
	if n, err = it.tryGet(s, dst); !errors.Is(err, ring.ErrWouldWait) {
		return n, err
	}
	if it.codec.Plan != nil {
		item, err := s.getVar(ctx, c)
		if err == nil {
			err = it.decode(s, item, &dst[0])
		}
		if err != nil {
			return 0, err
		}
		return it.getEncoded(s, dst, 1)
	}
	ctx, stop := c.bound(ctx)
	defer stop()
	if err := s.get.Take(ctx); err != nil {
		return 0, err
	}
	defer s.get.Give()
	return it.from(dst, func(b []byte) (int, error) { return s.GetFixed(ctx, me, b) })
}

// tryGet takes what is there. ring.ErrWouldWait: nothing.
func (it *items[T]) tryGet(s *side, dst []T) (n int, err error) {
	if len(dst) == 0 {
		return 0, nil
	}
	if it.codec.Plan != nil {
		return it.getEncoded(s, dst, 0)
	}
	if !s.get.Try() {
		return 0, ring.ErrWouldWait
	}
	defer s.get.Give()
	return it.from(dst, func(b []byte) (int, error) { return s.TryGetFixed(me, b) })
}

// from has elements copied to dst.
func (it *items[T]) from(dst []T, get func([]byte) (int, error)) (int, error) {
	var none T
	if unsafe.Sizeof(none) == 0 {
		return get(make([]byte, len(dst)))
	}
	return get(bytesOf(dst))
}

// getEncoded takes encoded items that are there, to dst from the n-th on.
func (it *items[T]) getEncoded(s *side, dst []T, n int) (int, error) {
	for ; n < len(dst); n++ {
		item, err := s.tryGetVar()
		switch {
		case err == nil:
			if err := it.decode(s, item, &dst[n]); err != nil {
				return n, err // what is bad is gone: who asks again gets the next
			}
		case n == 0:
			return 0, err
		default:
			return n, nil // the next call says it again
		}
	}
	return n, nil
}

// getVar waits for an item until ctx ends, and takes it.
func (s *side) getVar(ctx context.Context, c *core) (item []byte, err error) {
	ctx, stop := c.bound(ctx)
	defer stop()
	if err := s.get.Take(ctx); err != nil {
		return nil, err
	}
	defer s.get.Give()
	err = s.GetVar(ctx, me, copyTo(&item))
	return item, err
}

// tryGetVar takes an item that is there.
func (s *side) tryGetVar() (item []byte, err error) {
	if !s.get.Try() {
		return nil, ring.ErrWouldWait
	}
	defer s.get.Give()
	err = s.TryGetVar(me, copyTo(&item))
	return item, err
}

// copyTo copies an item out: another process could change it, and all who get wait until that is done.
func copyTo(dst *[]byte) func([]byte) error {
	return func(item []byte) error {
		*dst = bytes.Clone(item)
		return nil
	}
}

// decode makes a value of an item that was taken. One that cannot be decoded is dealt with, so that nobody waits for it.
func (it *items[T]) decode(s *side, item []byte, v *T) error {
	if err := wire.Decode(it.codec, item, v, nil); err != nil { // also if an Unmarshal of the user's panics
		_ = s.Done(me, 1)
		return &ItemError{err}
	}
	return nil
}

// ItemError says that an item of a queue or a pipe could not be decoded. The item was
// taken nevertheless, and counts as done: the next call gets the next item.
type ItemError struct{ Err error }

func (e *ItemError) Error() string {
	return "shm: an item that cannot be decoded was dropped: " + e.Err.Error()
}

// Unwrap returns the reason. errors.Is does not find an io.EOF that the user's own
// Unmarshal returned: it does not mean the end of the queue.
func (e *ItemError) Unwrap() error {
	if e.Err == nil {
		return nil
	}
	return itemsError{e.Err}
}

// itemsError is what an Unmarshal has returned.
type itemsError struct{ err error }

func (e itemsError) Error() string { return e.err.Error() }

func (e itemsError) Is(target error) bool { return !e.Hides(target) && errors.Is(e.err, target) }

func (e itemsError) As(target any) bool { return errors.As(e.err, target) }

// Hides and Cause are as those of causeError.
func (e itemsError) Hides(target error) bool { return target == io.EOF } //nolint:errorlint // identity is meant

func (e itemsError) Cause() error { return e.err }
