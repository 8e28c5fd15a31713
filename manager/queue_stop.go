package manager

import (
	"context"
	"slices"
)

// askStop is a queued call's wish that the guard end.
func (q *callQueue) askStop() {
	q.mu.Lock()
	if q.isGuarded() && q.stop == open {
		q.stop = asked // settled when the call that asked is over
	}
	q.mu.Unlock()
}

// stopSoon has nothing be accepted any more, which is told when it returns, and the guard drain and end on another goroutine.
func (q *callQueue) stopSoon() {
	q.mu.Lock()
	if !q.isGuarded() || q.stop >= draining {
		q.mu.Unlock()
		return
	}
	after := join(q.beginStop(), q.settle(), q.drainSoon)
	q.mu.Unlock()
	after()
}

// drainSoon is drain on another goroutine: what is queued is not the caller's to run.
func (q *callQueue) drainSoon() { go q.drain() }

// beginStop has nothing be accepted any more. q.mu is held, not when the returned function is called.
func (q *callQueue) beginStop() func() {
	q.stop = draining
	return q.told()
}

// told refuses who waits for room if nobody makes any, wakes who waits for outcomes, and has it be noted whether a guard runs. q.mu is held, not when
// the returned function is called.
func (q *callQueue) told() func() {
	var refused []*queued
	if q.waiting.len() > 0 && !q.isGuarded() || q.stop >= draining {
		refused = append(refused, q.waiting.all()...)
		q.waiting = fifo[*queued]{}
	}
	for _, b := range q.buffers {
		b.wake()
	}
	stop := q.stop
	return func() {
		for _, e := range refused {
			if stop >= draining {
				e.admitted(errorf("append %s: %w", e.what, ErrGuardStopped))
			} else {
				e.admitted(errorf("append %s: the guard is gone, and the queue is full: %w", e.what, ErrFull))
			}
		}
		q.guarded()
	}
}

// waitStopped waits until no guard runs or is expected, or one does that came after the stop, or ctx ends.
func (q *callQueue) waitStopped(ctx context.Context) error {
	for {
		q.mu.Lock()
		if !q.isGuarded() || q.stop < draining {
			q.mu.Unlock()
			return nil
		}
		if q.freed == nil {
			q.freed = make(chan struct{})
		}
		freed := q.freed
		q.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// isOver notes that a guard has nothing more to do than to drain: a process of its that comes later finds out. q.mu is held.
func (q *callQueue) isOver(id uint64) {
	if q.over[id] {
		return
	}
	q.over[id] = true
	q.overs.push(id)
	if q.overs.len() > mostOver {
		delete(q.over, q.overs.pop())
	}
}

// tableEnded says that the rows of a guard's table have ended: it drains and ends.
func (q *callQueue) tableEnded(id uint64) {
	q.mu.Lock()
	var after func()
	q.isOver(id) // also for a process that takes the place of one that has died
	for _, l := range []*lease{q.lease, q.gone} {
		if l == nil || l.id != id {
			continue
		}
		l.rows = false
		if q.stop < draining {
			after = q.beginStop()
		}
		after = join(after, q.settle(), q.drain)
	}
	q.mu.Unlock()
	if after != nil {
		after()
	}
}

// abandon ends what is queued for a table whose guard has failed for good: its rows may wait for it. Nothing is accepted until there is another guard.
// q.mu is held, not when the returned function is called.
func (q *callQueue) abandon() func() {
	q.expectNone()
	all := slices.Clone(q.entries.all())
	q.entries = fifo[*queued]{}
	q.stop = stopped
	return join(q.drop(all, errorf("the table's guard has failed before it ran the call: %w", ErrGuardLost)), q.told())
}

// giveUp expects no guard any more. rows says that it was a table's. q.mu is held, not when the returned function is called.
func (q *callQueue) giveUp(rows bool) func() {
	if rows {
		return q.abandon()
	}
	q.expectNone()
	if q.stop == asked {
		q.stop = open
	}
	return join(q.told(), q.settle(), q.drainSoon)
}

// close ends the queue: what is in it ends with ErrClosed.
func (q *callQueue) close() {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return
	}
	q.closed = true
	all := slices.Clone(q.entries.all())
	waiting := slices.Clone(q.waiting.all())
	q.entries, q.waiting = fifo[*queued]{}, fifo[*queued]{}
	after := q.drop(all, ErrClosed)
	if q.lease != nil {
		if e := q.current; e != nil && e.fn != nil && !e.reported {
			e.reported = true
			after = join(after, func() { q.finish(e, outcomeOf{err: ErrClosed}) })
		}
		after = join(after, q.end(endedShut))
	}
	q.expectNone()
	for _, b := range q.buffers {
		b.wake()
	}
	q.mu.Unlock()
	for _, e := range waiting {
		e.admitted(ErrClosed)
	}
	after()
	q.release()
}
