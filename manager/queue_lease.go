package manager

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// leaseRequest asks for a lease.
type leaseRequest struct {
	Gen  uint64 // of the lease: who asks for it chooses it, and can give it back whether or not he has heard of it
	Exec bool
	ID   uint64        // of the guard, whose processes come one after the other
	Rows bool          // it guards a table's
	Idle time.Duration // negative: it does not end idle
}

// attach gives a lease. While another one executes by hand it waits, and a moment while a guard runs: its process may be dead already.
func (q *callQueue) attach(ctx context.Context, r leaseRequest, conn any) error {
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	for {
		q.mu.Lock()
		if q.closed || isGone(conn) { // or nothing would end the lease
			q.mu.Unlock()
			return ErrClosed
		}
		if r.Exec && q.isGuarded() {
			q.mu.Unlock()
			return fmt.Errorf("manager: exec: %w", ErrGuardRuns)
		}
		if q.lease == nil {
			if q.barren >= mostBarren && !r.Exec {
				q.barren = 0
				after := q.giveUp(r.Rows)
				q.mu.Unlock()
				after()
				return fmt.Errorf("manager: guard: its process died %d times before it had begun, look at its start-up function: %w", mostBarren, ErrGuardLost)
			}
			q.lend(r, conn)
			q.mu.Unlock()
			if !r.Exec {
				q.guarded()
			}
			return nil
		}
		exec := q.lease.exec
		if q.freed == nil {
			q.freed = make(chan struct{})
		}
		freed, expired := q.freed, patience.C
		if exec {
			expired = nil
		}
		q.mu.Unlock()
		select {
		case <-freed:
		case <-expired:
			return fmt.Errorf("manager: guard: another one runs: %w", ErrGuardRuns)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// lend makes the lease. q.mu is held.
func (q *callQueue) lend(r leaseRequest, conn any) {
	l := &lease{gen: r.Gen, conn: conn, exec: r.Exec, id: r.ID, rows: r.Rows, idle: r.Idle}
	q.lease = l
	if r.Exec {
		return
	}
	q.expectNone()
	over := q.over[l.id]
	if over {
		l.rows = false
		if q.stop != stopped {
			q.stop = draining
		}
	}
	if q.stop == stopped {
		q.stop = open
		if over {
			q.stop = draining
		}
	}
	q.last = time.Now()
	l.timer = time.AfterFunc(l.period(), func() { q.look(l) })
}

// period is how often a lease is looked at.
func (l *lease) period() time.Duration {
	if l.idle <= 0 {
		return defaultIdle
	}
	return l.idle
}

// look ends a lease that is idle.
func (q *callQueue) look(l *lease) {
	q.mu.Lock()
	if q.lease != l {
		q.mu.Unlock()
		return
	}
	again := l.period()
	after := q.settle()
	if q.lease == l && l.idle > 0 && l.asked && q.current == nil && q.entries.len() == 0 && !q.held() {
		if since := time.Since(q.last); since >= l.idle {
			q.stop = stopped
			after = join(after, q.end(endedIdle))
		} else {
			again = l.idle - since
		}
	}
	if q.lease == l {
		l.timer.Reset(again)
	}
	q.mu.Unlock()
	if after != nil {
		after()
	}
}

// end ends the lease. What it returns is called without the lock. q.mu is held.
func (q *callQueue) end(why string) func() {
	l := q.lease
	l.ended = why
	if !l.exec {
		q.isOver(l.id)
	}
	q.ended[l.gen] = l
	if len(q.ended) > mostOver {
		delete(q.ended, slices.Min(slices.Collect(maps.Keys(q.ended))))
	}
	q.vacate()
	answer := q.answer(l)
	if l.exec {
		return join(answer)
	}
	return join(answer, q.told())
}

// vacate takes the lease back. q.mu is held.
func (q *callQueue) vacate() {
	if q.lease.timer != nil {
		q.lease.timer.Stop()
	}
	q.lease = nil
	if q.freed != nil {
		close(q.freed)
		q.freed = nil
	}
}

// told refuses who waits for room, and wakes who waits for outcomes. q.mu is held, not when the returned function is called.
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
				e.admitted(fmt.Errorf("manager: append %s: %w", e.what, ErrGuardStopped))
			} else {
				e.admitted(fmt.Errorf("manager: append %s: the guard is gone, and the queue is full: %w", e.what, ErrFull))
			}
		}
		q.guarded()
	}
}

// beginStop has nothing be accepted any more. q.mu is held, not when the returned function is called.
func (q *callQueue) beginStop() func() {
	q.stop = draining
	return q.told()
}

// askStop is a queued call's wish that the guard end.
func (q *callQueue) askStop() {
	q.mu.Lock()
	if q.isGuarded() && q.stop == open {
		q.stop = asked // settled when the call that asked is over
	}
	q.mu.Unlock()
}

// stopSoon has nothing be accepted any more, and the guard drain and end on another goroutine.
func (q *callQueue) stopSoon() {
	if after := q.stopping(); after != nil {
		go after()
	}
}

// stopNow has the guard drain and end, if there is one. It does not wait.
func (q *callQueue) stopNow() {
	if after := q.stopping(); after != nil {
		after()
	}
}

// stopping has nothing be accepted any more. What it returns drains; nil: there is no guard to stop.
func (q *callQueue) stopping() (after func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isGuarded() && q.stop < draining {
		after = join(q.beginStop(), q.settle(), q.drain)
	}
	return after
}

// stopped waits until no guard runs.
func (q *callQueue) waitStopped(ctx context.Context) error {
	for {
		q.mu.Lock()
		if !q.isGuarded() {
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

// expectGuard says that a guard is about to come, before the rows of its table begin.
func (q *callQueue) expectGuard(id uint64, idle time.Duration) {
	q.mu.Lock()
	expect := !q.closed && !q.isGuarded()
	if expect {
		if q.stop == stopped {
			q.stop = open
		}
		q.replace(&lease{id: id, rows: true, idle: idle})
	}
	q.mu.Unlock()
	if expect {
		q.guarded()
	}
}

// replace expects another guard in a lease's place. q.mu is held.
func (q *callQueue) replace(l *lease) {
	q.gone = l
	if !l.rows { // the table tells if there will be none
		q.expect = time.AfterFunc(patience, func() { q.noneCame(l) })
	}
}

// expectNone says that no guard's process is to be replaced. q.mu is held.
func (q *callQueue) expectNone() {
	if q.gone != nil {
		if q.expect != nil {
			q.expect.Stop()
		}
		q.gone, q.expect = nil, nil
		if q.freed != nil {
			close(q.freed)
			q.freed = nil
		}
	}
}

// connGone says that a process has died, or lost its connection.
func (q *callQueue) connGone(conn any) {
	if conn == nil {
		return
	}
	q.mu.Lock()
	var gone []*queued
	q.waiting.remove(func(e *queued) bool {
		if e.from == conn {
			gone = append(gone, e)
		}
		return e.from == conn
	})
	for _, e := range q.entries.all() {
		if e.from == conn {
			e.from, e.to = nil, nil
		}
	}
	var after func()
	if l := q.lease; l != nil && l.conn == conn {
		after = q.leaseGone(l)
	}
	for gen, l := range q.ended {
		if l.conn == conn {
			delete(q.ended, gen)
		}
	}
	after = join(after, q.beatsGone(conn)) // last: it settles
	q.mu.Unlock()
	for _, e := range gone {
		e.admitted(ErrLost) // nobody is there to read it
	}
	after()
}

// leaseGone ends a lease whose holder has died. q.mu is held, not when the returned function is called.
func (q *callQueue) leaseGone(l *lease) (after func()) {
	l.ended = endedLost
	q.vacate()
	l.reply = nil
	if e := q.current; e != nil && e.fn != nil && !e.reported {
		e.reported = true
		after = func() { q.finish(e, outcomeOf{err: lostCall(e)}) }
	}
	switch {
	case l.exec:
		return join(after, q.drain)
	case !l.asked:
		q.barren++
	}
	q.replace(l)
	return join(after, q.drain)
}

// failed says that a table's guard has failed for good.
func (q *callQueue) failed(id uint64) {
	q.mu.Lock()
	var after func()
	switch {
	case q.lease != nil && q.lease.id == id: // its process has not been heard to be gone yet
		after = join(q.end(endedLost), q.abandon())
	case q.gone != nil && q.gone.id == id:
		after = q.abandon()
	}
	q.mu.Unlock()
	if after != nil {
		after()
	}
}

// abandon ends what is queued for a table whose guard has failed for good: its rows may wait for it. Nothing is accepted until there is another guard. q.mu is held, not when the returned function is called.
func (q *callQueue) abandon() func() {
	q.expectNone()
	all := slices.Clone(q.entries.all())
	q.entries = fifo[*queued]{}
	q.stop = stopped
	return join(q.drop(all, fmt.Errorf("manager: the table's guard has failed before it ran the call: %w", ErrGuardLost)), q.told())
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
	return join(q.told(), q.settle(), q.drain)
}

// noneCame says that no guard has come in place of one whose process has died.
func (q *callQueue) noneCame(l *lease) {
	q.mu.Lock()
	if q.gone != l {
		q.mu.Unlock()
		return
	}
	after := q.giveUp(l.rows)
	q.mu.Unlock()
	after()
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

// isGone reports whether a process has died, or lost its connection. With q.mu held it is true before connGone, or connGone comes after.
func isGone(conn any) bool {
	c, ok := conn.(interface{ gone() bool })
	return ok && c.gone()
}
