package ring

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// Put puts whole elements, as many as src has, in order, and returns how many it has put:
// fewer if ctx ends, or the queue is ended, while it waits for room.
func (q *Queue) Put(ctx context.Context, me uint32, src []byte) (n int, err error) {
	if _, err := q.putLock.Acquire(ctx, me); err != nil {
		return 0, err
	}
	defer q.putLock.Release(me)
	for len(src) > 0 {
		k, err := q.putSome(src)
		if err != nil {
			return n, err
		}
		if k == 0 {
			if err := q.await(ctx, q.putter, q.hasRoom); err != nil {
				return n, err
			}
			continue
		}
		n, src = n+k, src[k*q.elem:]
	}
	return n, nil
}

// TryPut puts as many of the elements of src as there is room for, at once. It puts none
// while somebody else puts.
func (q *Queue) TryPut(me uint32, src []byte) (n int, err error) {
	if ok, _ := q.putLock.TryAcquire(me); !ok {
		return 0, nil
	}
	defer q.putLock.Release(me)
	return q.putSome(src)
}

// putSome puts what there is room for. The put lock is held.
func (q *Queue) putSome(src []byte) (int, error) {
	if q.ended.Load() != 0 {
		return 0, ErrEnded
	}
	tail := q.tail.Load()
	have, err := q.count(tail, q.head.Load()) // edge slot-free
	if err != nil {
		return 0, err
	}
	k := min(len(src)/q.elem, q.slots-have)
	if k == 0 {
		return 0, nil
	}
	q.copyIn(tail, src[:k*q.elem])
	q.publish(tail + uint64(k))
	return k, nil
}

// publish shows items up to tail and wakes who waits for them. Edge item-put.
func (q *Queue) publish(tail uint64) {
	q.tail.Store(tail)
	q.wake(q.getter)
}

// wake wakes the one that sleeps on a word, if one does.
func (q *Queue) wake(word *atomic.Uint32) {
	if word.Load() != 0 && word.Swap(0) != 0 {
		q.env.Wake(word, everybody)
	}
}

// hasRoom reports whether a Put may go on.
func (q *Queue) hasRoom() bool {
	return q.ended.Load() != 0 || q.tail.Load()-q.head.Load() != uint64(q.slots)
}

// PutItem puts one item of any size. It waits for room as Put does. One that no arena of
// this size can hold is an error at once.
func (q *Queue) PutItem(ctx context.Context, me uint32, item []byte) error {
	if len(item) > q.arena {
		return fmt.Errorf("an item of %d bytes in a queue with room for %d", len(item), q.arena)
	}
	if _, err := q.putLock.Acquire(ctx, me); err != nil {
		return err
	}
	defer q.putLock.Release(me)
	for {
		head := q.head.Load()
		if ok, err := q.putItem(item); ok || err != nil {
			return err
		}
		less := func() bool { return q.ended.Load() != 0 || q.head.Load() != head }
		if err := q.await(ctx, q.putter, less); err != nil {
			return err
		}
	}
}

// TryPutItem puts an item if there is room at once and nobody else puts.
func (q *Queue) TryPutItem(me uint32, item []byte) (bool, error) {
	if len(item) > q.arena {
		return false, fmt.Errorf("an item of %d bytes in a queue with room for %d", len(item), q.arena)
	}
	if ok, _ := q.putLock.TryAcquire(me); !ok {
		return false, nil
	}
	defer q.putLock.Release(me)
	return q.putItem(item)
}

// putItem puts an item if there is room. The put lock is held.
func (q *Queue) putItem(item []byte) (bool, error) {
	if q.ended.Load() != 0 {
		return false, ErrEnded
	}
	tail, head := q.tail.Load(), q.head.Load() // edge slot-free
	have, err := q.count(tail, head)
	if err != nil || have == q.slots {
		return false, err
	}
	at, ok, err := q.find(tail, head, len(item))
	if !ok || err != nil {
		return false, err
	}
	copy(q.arenaArea[at:], item)
	q.setPlace(tail, place{uint64(at), uint64(len(item))})
	q.publish(tail + 1)
	return true, nil
}

// find looks for n bytes of the arena that no item lies in: behind the last item, or at the
// beginning.
func (q *Queue) find(tail, head uint64, n int) (at int, ok bool, err error) {
	n = footprint(n)
	if n > len(q.arenaArea) {
		return 0, false, fmt.Errorf("an item of %d bytes in a queue with room for %d", n, len(q.arenaArea))
	}
	if tail == head {
		return 0, true, nil
	}
	first, err := q.placeOf(head)
	if err != nil {
		return 0, false, err
	}
	last, err := q.placeOf(tail - 1)
	if err != nil {
		return 0, false, err
	}
	begin, end := int(first.off), int(last.off)+footprint(int(last.size))
	switch {
	case end > begin && n <= len(q.arenaArea)-end: // behind the last
		return end, true, nil
	case end > begin && n <= begin: // at the beginning, before the first
		return 0, true, nil
	case end <= begin && n <= begin-end: // between the last and the first
		return end, true, nil
	}
	return 0, false, nil
}

// footprint is what an item takes of the arena: never nothing, so that an arena that is
// full differs from one that is empty.
func footprint(n int) int { return max(roundUp(n, 8), 8) }

// await waits until ready, for which whoever makes it so takes the word. It returns ctx's
// error. The lock of the caller's side is held.
func (q *Queue) await(ctx context.Context, word *atomic.Uint32, ready func() bool) error {
	if q.spin(ready) {
		return nil
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { q.wake(word) })()
	}
	for {
		word.Store(1)
		if ready() {
			word.Store(0)
			return nil
		}
		if ctx.Err() != nil {
			word.Store(0)
			return context.Cause(ctx)
		}
		q.env.Wait(word, 1, waitBound)
	}
}

// spin looks for a while and reports whether it is ready.
func (q *Queue) spin(ready func() bool) bool {
	if q.Spin <= 0 {
		return ready()
	}
	begin := time.Now()
	for {
		for range 64 {
			if ready() {
				return true
			}
		}
		if time.Since(begin) > q.Spin {
			return false
		}
		runtime.Gosched()
	}
}

// End lets no more items in: what is there can still be got, then getters find io.EOF. It
// wakes all who wait.
func (q *Queue) End() {
	q.ended.Store(1)
	q.wake(q.getter)
	q.wake(q.putter)
}

// Ended reports whether End was called.
func (q *Queue) Ended() bool { return q.ended.Load() != 0 }
