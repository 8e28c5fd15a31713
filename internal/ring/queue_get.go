package ring

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Get waits for an element and copies what is there to dst, as many whole elements as fit.
// It returns how many, or io.EOF if the queue is ended and empty.
func (q *Queue) Get(ctx context.Context, me uint32, dst []byte) (n int, err error) {
	if len(dst) < q.elem {
		return 0, fmt.Errorf("an element of %d bytes into %d", q.elem, len(dst))
	}
	if _, err := q.getLock.Acquire(ctx, me); err != nil {
		return 0, err
	}
	defer q.getLock.Release(me)
	for {
		n, err := q.getSome(me, dst)
		if n > 0 || err != nil {
			return n, err
		}
		if err := q.await(ctx, q.getter, q.hasItems); err != nil {
			return 0, err
		}
	}
}

// TryGet is Get without waiting: it gets none while somebody else gets.
func (q *Queue) TryGet(me uint32, dst []byte) (n int, err error) {
	if ok, _ := q.getLock.TryAcquire(me); !ok {
		return 0, nil
	}
	defer q.getLock.Release(me)
	return q.getSome(me, dst)
}

// hasItems reports whether a Get may go on.
func (q *Queue) hasItems() bool { return q.tail.Load() != q.head.Load() || q.ended.Load() != 0 }

// there returns where items begin and how many there are; io.EOF if there will be none.
// The get lock is held.
func (q *Queue) there() (head uint64, n int, err error) {
	ended := q.ended.Load() != 0 // before tail: what was put before the end counts
	head = q.head.Load()
	n, err = q.count(q.tail.Load(), head) // edge item-put
	if err == nil && n == 0 && ended {
		err = io.EOF
	}
	return head, n, err
}

func (q *Queue) getSome(me uint32, dst []byte) (int, error) {
	head, have, err := q.there()
	k := min(have, len(dst)/max(q.elem, 1))
	if err != nil || k == 0 {
		return 0, err
	}
	t := q.begin(me, head, k)
	q.copyOut(dst[:k*q.elem], head)
	q.took(t, head, k)
	return k, nil
}

// GetItem waits for an item and has use called with its bytes, which lie in the queue and
// are valid until it returns. An error of use is returned, and the item stays where it is.
func (q *Queue) GetItem(ctx context.Context, me uint32, use func([]byte) error) error {
	if _, err := q.getLock.Acquire(ctx, me); err != nil {
		return err
	}
	defer q.getLock.Release(me)
	for {
		ok, err := q.getItem(me, use)
		if ok || err != nil {
			return err
		}
		if err := q.await(ctx, q.getter, q.hasItems); err != nil {
			return err
		}
	}
}

// TryGetItem is GetItem without waiting.
func (q *Queue) TryGetItem(me uint32, use func([]byte) error) (bool, error) {
	if ok, _ := q.getLock.TryAcquire(me); !ok {
		return false, nil
	}
	defer q.getLock.Release(me)
	return q.getItem(me, use)
}

func (q *Queue) getItem(me uint32, use func([]byte) error) (bool, error) {
	head, have, err := q.there()
	if err != nil || have == 0 {
		return false, err
	}
	p, err := q.placeOf(head)
	if err != nil {
		return false, err
	}
	t := q.begin(me, head, 1)
	if err := use(q.arenaArea[p.off : p.off+p.size : p.off+p.size]); err != nil {
		if t != nil {
			t.work.Add(^uint64(0)) // it is not being taken any more
		}
		return false, err
	}
	q.took(t, head, 1)
	return true, nil
}

// begin notes that k items from head on are about to be taken: should this process die
// with the get lock, head says whether they were. nil: nothing is noted for want of room.
func (q *Queue) begin(me uint32, head uint64, k int) *taker {
	t := q.mine.Load()
	if t == nil || t.pid.Load() != me {
		if t = q.taker(me); t == nil {
			return nil
		}
		q.mine.Store(t)
	}
	t.from.Store(head)
	t.work.Add(uint64(k))
	return t
}

// taker finds a process's entry, or takes a free one. The get lock is held.
func (q *Queue) taker(me uint32) *taker {
	var free *taker
	for i := range q.takers {
		switch pid := q.takers[i].pid.Load(); {
		case pid == me:
			return &q.takers[i]
		case pid == 0 && free == nil:
			free = &q.takers[i]
		}
	}
	if free != nil {
		free.work.Store(0)
		free.pid.Store(me)
	}
	return free
}

// took counts the items as gone, and as held by this process. Edge slot-free.
func (q *Queue) took(t *taker, head uint64, k int) {
	q.head.Store(head + uint64(k))
	if t != nil {
		t.work.Add(uint64(k)<<32 - uint64(k)) // in one step: held, and no longer being taken
	}
	q.wake(q.putter)
}

// errDone says that more is done than was taken.
var errDone = errors.New("more items are said to be done than this process has taken")

// Done says that n items that this process took are dealt with, for Join.
func (q *Queue) Done(me uint32, n int) error {
	if n <= 0 {
		return fmt.Errorf("%d items done", n)
	}
	t := q.mine.Load()
	if t != nil && t.pid.Load() != me {
		t = nil // not in the table
	}
	if t != nil && t.work.Load()>>32 < uint64(n) || q.head.Load() < uint64(n) {
		return errDone
	}
	q.done.Add(uint64(n)) // first: who dies now has them counted twice, not never
	if t != nil {
		t.work.Add(-uint64(n) << 32)
	}
	if q.done.Load()+q.lost.Load() >= q.tail.Load() {
		q.wakeJoiners()
	}
	return nil
}

// LostError says that items were taken by a process that died before it was done with them.
type LostError struct {
	Items int // in all, since the queue was made
	PID   int // of the process that lost the last
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%d items were taken by processes that died before they were done with them, the last of them process %d", e.Items, e.PID)
}

// Join waits until all items that have been put are done, or lost: then it returns a
// *LostError.
func (q *Queue) Join(ctx context.Context) error {
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, q.wakeJoiners)()
	}
	for {
		q.joining.Store(1)
		count := q.joins.Load()
		lost := q.lost.Load()
		if q.done.Load()+lost >= q.tail.Load() {
			if lost > 0 {
				return &LostError{Items: int(lost), PID: int(q.lostBy.Load())}
			}
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		q.env.Wait(q.joins, count, waitBound)
	}
}

// wakeJoiners has who waits in Join look again. The flag is set once somebody has waited
// and stays: only then a system call is due.
func (q *Queue) wakeJoiners() {
	if q.joining.Load() != 0 {
		q.joins.Add(1)
		q.env.Wake(q.joins, everybody)
	}
}

// Sweep frees what a dead process holds, and counts what it had taken as lost.
func (q *Queue) Sweep(dead uint32) {
	for i := range q.takers {
		t := &q.takers[i]
		if dead == 0 || t.pid.Load() != dead {
			continue
		}
		work := t.work.Load()
		lost := work >> 32
		if taking := uint64(uint32(work)); taking > 0 && q.head.Load()-t.from.Load() >= taking {
			lost += taking // nobody else has moved head: the dead one has the lock still
		}
		if t.pid.CompareAndSwap(dead, 0) && lost > 0 {
			q.lostBy.Store(uint64(dead))
			q.lost.Add(lost)
			q.wakeJoiners()
		}
	}
	q.getLock.Sweep(dead)
	q.putLock.Sweep(dead)
}
