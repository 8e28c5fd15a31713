package ring

import (
	"context"
	"fmt"
)

// GetFixed takes elements from the front and copies them to dst: it blocks for the
// first, then takes what is there, as many whole ones as dst has room for. io.EOF: the
// queue has ended and is empty. ctx's end and rubbish in the memory end it with an error,
// and nothing is taken, as if ctx has ended before.
func (q *Queue) GetFixed(ctx context.Context, me uint32, dst []byte) (n int, err error) {
	return q.getFixed(ctx, me, dst, false)
}

// TryGetFixed takes what is there now. ErrWouldWait: there is nothing, or somebody else
// is getting and does not finish soon.
func (q *Queue) TryGetFixed(me uint32, dst []byte) (n int, err error) {
	return q.getFixed(context.Background(), me, dst, true)
}

func (q *Queue) getFixed(ctx context.Context, me uint32, dst []byte, try bool) (n int, err error) {
	if q.elem == 0 {
		return 0, errKind
	}
	most := uint64(len(dst)) / q.elem
	if most == 0 {
		return 0, fmt.Errorf("%d bytes for elements of %d", len(dst), q.elem)
	}
	head, there, slept, err := q.first(ctx, me, try)
	if err != nil {
		return 0, err
	}
	k := min(most, there)
	i := head % q.slots * q.elem
	copied := copy(dst[:k*q.elem], q.elems[i:])
	copy(dst[copied:k*q.elem], q.elems)
	q.at("get: copied")
	q.take(me, head, k)
	q.leave(me, slept)
	return int(k), nil
}

// GetVar takes the first item and calls use with its bytes, which are valid until use
// returns; it blocks and ends as GetFixed does. They lie in the shared memory, and
// no other process can get meanwhile: a use that takes long copies them. The caller trusts
// the other processes not to change them, or copies them too. The item is taken once use
// has returned, or panicked; GetVar returns use's error.
func (q *Queue) GetVar(ctx context.Context, me uint32, use func(item []byte) error) error {
	return q.getVar(ctx, me, use, false)
}

// TryGetVar is GetVar, but gives ErrWouldWait where that would block.
func (q *Queue) TryGetVar(me uint32, use func(item []byte) error) error {
	return q.getVar(context.Background(), me, use, true)
}

func (q *Queue) getVar(ctx context.Context, me uint32, use func(item []byte) error, try bool) error {
	if q.elem != 0 {
		return errKind
	}
	head, _, slept, err := q.first(ctx, me, try)
	if err != nil {
		return err
	}
	pos, size := readPlace(&q.places[head%q.slots])
	off, whole := pos%uint64(len(q.arena)), uint64(len(q.arena))
	if size > whole-off {
		q.leave(me, slept)
		return fmt.Errorf("an item of %d bytes at %d of %d: %w", size, off, whole, ErrCorrupt)
	}
	defer func() {
		q.at("get: copied")
		q.take(me, head, 1)
		q.leave(me, slept)
	}()
	return use(q.arena[off : off+size : off+size])
}

// first takes the get lock when there is at least one item.
func (q *Queue) first(ctx context.Context, me uint32, try bool) (head, n uint64, slept bool, err error) {
	for {
		if err = q.enter(ctx, q.get, me, try); err != nil {
			break
		}
		q.at("get: locked")
		head, n, err = q.items()
		if n > 0 {
			return head, n, slept, nil
		}
		q.get.Release(me)
		if err == nil && try {
			err = ErrWouldWait
		}
		if err != nil {
			break
		}
		s, e := q.await(ctx, q.item, q.something)
		slept = slept || s
		if err = e; err != nil {
			break
		}
	}
	if slept {
		q.item.open(1) // it may have been woken in place of another
	}
	return 0, 0, false, err
}

// take takes k items, for me, who holds the get lock. Which are taken, and by whom, changes
// with head: one store. Until the process's own count follows, the journal says what it
// is to be if head has moved. end is written before will: while end is that of the take
// before, will may be of either, as it is only looked at if end is where head is.
// (Edge item-taken: the store of head happens before the load by who puts into the room.)
func (q *Queue) take(me uint32, head, k uint64) {
	t := q.taker(me)
	will := t.taken.Load() + k
	t.end.Store(head + k)
	q.at("get: journal begun")
	t.will.Store(will)
	q.at("get: journal")
	q.head.Store(head + k)
	q.at("get: taken")
	t.taken.Store(will)
	q.at("get: counted")
}

// leave gives the get lock back and wakes who can go on.
func (q *Queue) leave(me uint32, slept bool) {
	q.get.Release(me)
	q.at("get: released")
	q.room.open(1)
	if slept && q.something() {
		q.item.open(1) // who was woken wakes the next, see gate
	}
}
