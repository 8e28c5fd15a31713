package shm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/xenonmp/xme/internal/ring"
)

// Queue is a bounded queue between any goroutines of any processes that have it. It
// crosses as a field of an argument or a result. Items are copied in and out: those
// without pointers as they lie in memory, others encoded.
//
// A process may be killed at any moment: an item it was putting is there as a whole or
// not at all, one it was taking is still there or was taken, and nobody is left waiting
// for the dead process. Join counts what a dead process had taken and not finished.
//
// The lifetime of its shared memory is that of an Array. All methods may be called
// concurrently. Those that wait do so until ctx ends or the queue is closed in this
// process; however many goroutines wait, they take one thread. Items of several
// goroutines are put in the order in which they arrive; those of one goroutine keep their
// order.
type Queue[T any] struct {
	_ [0]T
	core
}

// NewQueue makes a queue with room for n items. Items that hold pointers also share room
// for 256 bytes per item, and at least 64 KiB in all: NewQueueSize sets another size.
func NewQueue[T any](n int) (*Queue[T], error) { return NewQueueSize[T](n, max(256*max(n, 0), 64<<10)) }

// NewQueueSize makes a queue with room for n items that together take at most the given
// number of bytes, encoded. A single item may take as many. Items without pointers always
// have room, whatever bytes is.
func NewQueueSize[T any](n, bytes int) (*Queue[T], error) {
	it, err := newItems[T]()
	if err != nil {
		return nil, err
	}
	if it.elem > 0 {
		bytes = 0
	}
	size := ring.QueueSize(n, it.elem, bytes)
	if size == 0 {
		return nil, fmt.Errorf("shm: a queue with room for %d items and %d bytes: make both 1 or more, and less than fills memory", n, bytes)
	}
	if it.elem == 0 && bytes/8 < n {
		return nil, fmt.Errorf("shm: a queue with room for %d items in %d bytes: each takes 8 at least", n, bytes)
	}
	q := &Queue[T]{}
	err = openLocked(&q.core, kindQueue, size, func(mem []byte) error {
		_, err := ring.NewQueue(mem[headSize:], n, it.elem, bytes, waits{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return q, nil
}

// side returns this process's end, and keeps the queue open until unuse.
func (q *Queue[T]) side() (*side, error) {
	if err := q.enter(); err != nil {
		return nil, err
	}
	l, err := attach(q.region, kindQueue)
	if err != nil {
		q.unuse()
		return nil, err
	}
	return l.queues[0], nil
}

// Put puts an item, waiting for room. It returns ErrEnded after End, ErrClosed after
// Close, and ctx's cause once ctx has ended. It also returns an error if the item cannot
// be encoded, and one that wraps ErrTooLarge if it can never fit.
func (q *Queue[T]) Put(ctx context.Context, v T) error {
	_, err := q.PutAll(ctx, []T{v})
	return err
}

// PutAll puts items in order, waiting for room, and returns how many it has put: all of
// them, unless it returns an error. Items without pointers become visible together, as
// many at a time as there is room for. The error is as for Put.
func (q *Queue[T]) PutAll(ctx context.Context, vs []T) (n int, err error) {
	s, err := q.side()
	if err != nil {
		return 0, err
	}
	defer q.unuse()
	return mustItems[T]().put(ctx, &q.core, s, vs)
}

// TryPut puts an item if there is room and nobody else is putting one at the moment.
func (q *Queue[T]) TryPut(v T) (bool, error) {
	s, err := q.side()
	if err != nil {
		return false, err
	}
	defer q.unuse()
	n, err := mustItems[T]().tryPut(s, []T{v})
	return n == 1, mayWait(err)
}

// mayWait drops the answer of who would have to wait.
func mayWait(err error) error {
	if errors.Is(err, ring.ErrWouldWait) {
		return nil
	}
	return err
}

// Get takes the next item, waiting for one. It returns io.EOF once the queue has been
// ended and is empty, ErrClosed after Close, ctx's cause once ctx has ended, and an
// *ItemError for an item that cannot be decoded.
func (q *Queue[T]) Get(ctx context.Context) (T, error) {
	var v [1]T
	_, err := q.GetSome(ctx, v[:])
	return v[0], err
}

// GetSome waits for an item, takes as many as are there and fit in dst, in order, and
// returns how many: at least 1, unless it returns an error or dst is empty. If n > 0, the
// error is an *ItemError for the item after those n.
func (q *Queue[T]) GetSome(ctx context.Context, dst []T) (n int, err error) {
	s, err := q.side()
	if err != nil {
		return 0, err
	}
	defer q.unuse()
	return mustItems[T]().get(ctx, &q.core, s, dst)
}

// TryGet takes an item if there is one and nobody else is getting one at the moment.
func (q *Queue[T]) TryGet() (v T, ok bool, err error) {
	s, err := q.side()
	if err != nil {
		return v, false, err
	}
	defer q.unuse()
	var dst [1]T
	n, err := mustItems[T]().tryGet(s, dst[:])
	return dst[0], n == 1, mayWait(err)
}

// All yields the items that Get returns until the queue has been ended and is empty. It
// goes on after an *ItemError, which it yields; any other error, ctx's cause included, it
// yields before it stops.
func (q *Queue[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) { all(yield, func() (T, error) { return q.Get(ctx) }) }
}

// End stops the queue from accepting items, in all processes. Those already there can
// still be taken; then Get returns io.EOF. Ending twice does nothing.
func (q *Queue[T]) End() error {
	s, err := q.side()
	if err != nil {
		return err
	}
	defer q.unuse()
	s.End()
	return nil
}

// Done says that n of the items that this process took have been dealt with. It returns
// an error if n is more than it took.
func (q *Queue[T]) Done(n int) error {
	s, err := q.side()
	if err != nil {
		return err
	}
	defer q.unuse()
	return s.Done(me, n)
}

// Join waits until all items that have been put are done. If processes died before they
// were done with items they had taken, it returns a *LostError, which reports each item
// once.
func (q *Queue[T]) Join(ctx context.Context) error {
	s, err := q.side()
	if err != nil {
		return err
	}
	defer q.unuse()
	ctx, stop := q.bound(ctx)
	defer stop()
	return s.Join(ctx)
}

// LostError says how many items of a queue were taken by processes that died before they
// called Done.
type LostError = ring.LostError

// Len returns the number of items in the queue; 0 if the queue is closed in this process.
func (q *Queue[T]) Len() int {
	s, err := q.side()
	if err != nil {
		return 0
	}
	defer q.unuse()
	return s.Len()
}

// Cap returns the number of items the queue has room for; 0 if it is closed in this
// process.
func (q *Queue[T]) Cap() int {
	s, err := q.side()
	if err != nil {
		return 0
	}
	defer q.unuse()
	return s.Cap()
}

// Retain returns the same queue as a handle that the caller owns and must close, for
// example to keep it in a worker for later tasks.
func (q *Queue[T]) Retain() (*Queue[T], error) {
	r := &Queue[T]{}
	if err := q.retain(&r.core); err != nil {
		return nil, err
	}
	return r, nil
}

// Close ends the use of the queue in this process: waiting calls return ErrClosed. Other
// processes can go on using it. Closing twice does nothing.
func (q *Queue[T]) Close() error { return q.close() }

// String describes the queue, not its items.
func (q *Queue[T]) String() string { return fmt.Sprintf("shm.Queue[%v]", reflect.TypeFor[T]()) }
