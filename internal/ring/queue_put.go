package ring

import (
	"context"
	"errors"
	"fmt"
)

// errKind says that a method for elements was called on a queue of items, or the
// other way round.
var errKind = errors.New("the queue is of the other kind")

// PutFixed puts src, whole elements, behind what is there, and returns how many. It
// blocks until all are in, for want of room or because others put; another process's
// may come between if they do not fit at once. ctx's end, End, or rubbish in the memory end it
// with an error, and n elements are in. If ctx has ended before, nothing is put.
func (q *Queue) PutFixed(ctx context.Context, me uint32, src []byte) (n int, err error) {
	return q.putFixed(ctx, me, src, false)
}

// TryPutFixed puts as many of src's elements as there is room for now; ErrWouldWait:
// not all. It also gives that if somebody else is putting and does not finish soon.
func (q *Queue) TryPutFixed(me uint32, src []byte) (n int, err error) {
	return q.putFixed(context.Background(), me, src, true)
}

func (q *Queue) putFixed(ctx context.Context, me uint32, src []byte, try bool) (n int, err error) {
	if q.elem == 0 {
		return 0, errKind
	}
	left := uint64(len(src)) / q.elem
	if left*q.elem != uint64(len(src)) {
		return 0, fmt.Errorf("%d bytes are no whole elements of %d", len(src), q.elem)
	}
	if err := q.enter(ctx, q.put, me, try); err != nil {
		return 0, err
	}
	q.at("put: locked")
	fresh := 0 // put, and nobody told yet
	for left > 0 {
		tail, free, e := q.free(left)
		if err = e; err != nil {
			break
		}
		if free == 0 {
			if fresh > 0 {
				q.item.open(fresh)
				fresh = 0
			}
			if err = q.awaitRoom(ctx, try, func() bool { _, free, e := q.free(1); return free > 0 || e != nil }); err != nil {
				break
			}
			continue
		}
		k := min(left, free)
		q.copyIn(tail%q.slots, src[:k*q.elem])
		q.at("put: copied")
		if !q.publish(tail, k) {
			continue // it has ended, or cannot be
		}
		q.at("put: published")
		src, left = src[k*q.elem:], left-k
		n, fresh = n+int(k), fresh+int(k)
	}
	q.put.Release(me)
	q.at("put: released")
	if fresh > 0 {
		q.item.open(fresh)
	}
	return n, err
}

// free returns tail and how many slots are free; enough says that more is not wanted.
func (q *Queue) free(enough uint64) (tail, free uint64, err error) {
	tail = q.tail.Load()
	if tail&endedBit != 0 {
		return tail, 0, ErrEnded
	}
	if used := tail - q.seen; used > q.slots || q.slots-used < enough {
		q.seen = q.head.Load() // edge item-taken: what was taken is free
		if used = tail - q.seen; used > q.slots {
			return tail, 0, fmt.Errorf("%d items put and %d taken, of a queue of %d: %w", tail, q.seen, q.slots, ErrCorrupt)
		}
	}
	return tail, q.slots - (tail - q.seen), nil
}

// publish makes k items visible, unless the queue has ended. (Edge item-put: this
// change of tail happens before the load by who takes them.)
func (q *Queue) publish(tail, k uint64) bool { return q.tail.CompareAndSwap(tail, tail+k) }

// awaitRoom waits with the put lock held, so at most one waits.
func (q *Queue) awaitRoom(ctx context.Context, try bool, ready func() bool) error {
	if try {
		return ErrWouldWait
	}
	_, err := q.await(ctx, q.room, ready)
	return err
}

// copyIn copies elements in, from slot i on.
func (q *Queue) copyIn(i uint64, src []byte) {
	n := copy(q.elems[i*q.elem:], src)
	copy(q.elems, src[n:])
}

// PutVar puts one item behind what is there. It blocks for want of a slot or of bytes,
// or because others put, until ctx ends or End is called; then the item is not in.
func (q *Queue) PutVar(ctx context.Context, me uint32, item []byte) error {
	return q.putVar(ctx, me, item, false)
}

// TryPutVar is PutVar, but gives ErrWouldWait where that would block.
func (q *Queue) TryPutVar(me uint32, item []byte) error {
	return q.putVar(context.Background(), me, item, true)
}

func (q *Queue) putVar(ctx context.Context, me uint32, item []byte, try bool) error {
	if q.elem != 0 {
		return errKind
	}
	if len(item) > len(q.arena) {
		return fmt.Errorf("an item of %d bytes in a queue that has %d for all: %w", len(item), len(q.arena), ErrTooLarge)
	}
	if err := q.enter(ctx, q.put, me, try); err != nil {
		return err
	}
	q.at("put: locked")
	err := q.putIn(ctx, item, try)
	q.put.Release(me)
	q.at("put: released")
	if err == nil {
		q.item.open(1)
	}
	return err
}

// ErrTooLarge says that an item can never be put.
var ErrTooLarge = errors.New("the item is larger than the queue")

func (q *Queue) putIn(ctx context.Context, item []byte, try bool) error {
	for {
		tail, pos, ok, err := q.space(len(item))
		if err != nil {
			return err
		}
		if !ok {
			if err := q.awaitRoom(ctx, try, func() bool { _, _, ok, e := q.space(len(item)); return ok || e != nil }); err != nil {
				return err
			}
			continue
		}
		copy(q.arena[pos%uint64(len(q.arena)):], item)
		q.at("put: copied")
		q.places[tail%q.slots] = place{pos, uint64(len(item))}
		q.at("put: placed")
		if q.publish(tail, 1) {
			q.at("put: published")
			return nil
		}
	}
}

// space finds a slot and size bytes in one piece, and where these begin; false: there
// are not. What producers before wrote is at most rubbish: then it may find room in the
// wrong place, but within the arena.
func (q *Queue) space(size int) (tail, pos uint64, ok bool, err error) {
	tail, free, err := q.free(q.slots) // always a new look at head: bytes are free up to there
	if err != nil || free == 0 {
		return tail, 0, false, err
	}
	whole := uint64(len(q.arena))
	if tail > 0 {
		last, n := readPlace(&q.places[(tail-1)%q.slots])
		pos = last + (n+7)&^7
	}
	oldest := pos
	if free < q.slots {
		oldest, _ = readPlace(&q.places[q.seen%q.slots])
	}
	if used := pos - oldest; pos%8 != 0 || used > whole {
		return tail, 0, false, fmt.Errorf("items in %d bytes of %d: %w", used, whole, ErrCorrupt)
	}
	need := (uint64(size) + 7) &^ 7
	if off := pos % whole; off+need > whole {
		pos += whole - off
	}
	if free == q.slots {
		oldest = pos
	}
	return tail, pos, pos+need-oldest <= whole, nil
}
