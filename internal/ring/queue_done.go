package ring

import (
	"context"
	"fmt"
)

// LostError says that a process died with items that it had taken and was not done with.
type LostError struct {
	Items int    // how many, of all that died
	PID   uint32 // the process that died last
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%d items were lost with process %d", e.Items, e.PID)
}

// find returns the line of a process. One that has none has the last, which is everybody's.
func (q *Queue) find(pid uint32) *taker {
	if t := q.mine.Load(); t != nil && t.pid.Load() == uint64(pid) {
		return t
	}
	for i := range min(q.used.Load(), mostTakers) {
		if t := &q.table[i]; t.pid.Load() == uint64(pid) {
			return t
		}
	}
	return &q.table[mostTakers]
}

// taker returns the line of the process me, which holds the get lock; it takes one if it
// has none. If all are taken it shares the last: its items are not lost if it dies,
// and Join waits for them.
func (q *Queue) taker(me uint32) *taker {
	t := q.mine.Load()
	if t != nil && t.pid.Load() == uint64(me) {
		return t
	}
	if t = q.find(me); t != &q.table[mostTakers] {
		q.mine.Store(t)
		return t
	}
	for i := range q.table[:mostTakers] {
		t := &q.table[i]
		if t.pid.Load() != 0 {
			continue
		}
		if q.used.Load() <= uint64(i) {
			q.used.Store(uint64(i) + 1)
		}
		t.will.Store(t.taken.Load()) // a take that the one before died in is not this one's
		q.at("get: line found")
		t.pid.Store(uint64(me))
		q.at("get: line taken")
		q.mine.Store(t)
		return t
	}
	return &q.table[mostTakers]
}

// Done says that n of the items that the process me has taken are done with. It does not
// block. It is an error to be done with more than were taken. Any number of goroutines
// may call it. (Edge items-done: the change of the count happens before the Join that
// sees it.)
func (q *Queue) Done(me uint32, n int) error {
	t := q.find(me)
	for {
		done := t.done.Load()
		if open := int64(t.taken.Load() - t.lost.Load() - done); n < 0 || int64(n) > open {
			return fmt.Errorf("%d items done of %d that process %d has taken", n, open, me)
		}
		if t.done.CompareAndSwap(done, done+uint64(n)) {
			break
		}
	}
	q.at("done: counted")
	if q.joins.word.Load()&1 != 0 && q.allDone() {
		q.joins.open(everybody)
	}
	return nil
}

// allDone reports whether there was an instant when all that had been put was done. As
// counts only grow, and what is done was put, it is enough that tail, looked at last, is
// what the counts were before.
func (q *Queue) allDone() bool {
	sum, _ := q.ended()
	return sum >= q.tail.Load()&^endedBit
}

// ended returns how many items are done or lost, and how many of them are lost.
func (q *Queue) ended() (sum, lost uint64) {
	add := func(t *taker) {
		l := t.lost.Load()
		sum, lost = sum+t.done.Load()+l, lost+l
	}
	for i := range min(q.used.Load(), mostTakers) {
		add(&q.table[i])
	}
	add(&q.table[mostTakers])
	return sum, lost
}

// Join blocks until every item that was put was taken and is done, or ctx ends. What
// died with a process is not waited for: then Join gives a *LostError, once through this
// Queue. Any number of goroutines may call it.
func (q *Queue) Join(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !q.allDone() {
		if _, err := q.joins.wait(ctx, q.allDone); err != nil {
			return err
		}
	}
	sum, lost := q.ended()
	if tail := q.tail.Load() &^ endedBit; sum > tail {
		return fmt.Errorf("%d items done of %d: %w", sum, tail, ErrCorrupt)
	}
	if told := q.told.Swap(lost); lost > told {
		return &LostError{Items: int(lost - told), PID: uint32(q.last.Load())}
	}
	return nil
}

// settle looks what became of the take that a dead holder of the get lock was in, before
// the lock is taken from it: if head is where the take would have put it, it was
// taken. While the dead holds the lock nobody moves head. Several may do this at a time,
// and one late: it changes nothing unless the dead held the lock all along, and
// then the count that it saw, which nobody else's take can be at again.
func (q *Queue) settle(dead uint32) {
	t := q.find(dead)
	if t == &q.table[mostTakers] {
		return // a line that many share says nothing of one; what it takes is never lost either
	}
	taken, end, will := t.taken.Load(), t.end.Load(), t.will.Load()
	head := q.head.Load()
	if q.get.word.Load()&pidMask == dead && head == end && will > taken {
		t.taken.CompareAndSwap(taken, will)
	}
}

// Sweep says that the process of pid dead is no more: a lock that it held is free, what it
// had taken and was not done with is lost, and all who wait look again. It returns how
// many items were lost, which means nothing in a queue where nobody calls Done. Call it
// once for each process that ends, before another can get its pid, one at a time. It
// does not block. Killed half-way it can be called again.
func (q *Queue) Sweep(dead uint32) (lost int) {
	q.get.Sweep(dead)
	q.put.Sweep(dead)
	if t := q.find(dead); dead != 0 && t != &q.table[mostTakers] {
		if open := t.taken.Load() - t.lost.Load() - t.done.Load(); int64(open) > 0 {
			lost = int(open)
			q.last.Store(uint64(dead))
			t.lost.Add(open)
			q.at("sweep: counted")
		}
		t.pid.CompareAndSwap(uint64(dead), 0)
	}
	q.item.poke()
	q.room.poke()
	q.joins.poke()
	return lost
}
