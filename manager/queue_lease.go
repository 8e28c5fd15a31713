package manager

import (
	"context"
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
		if q.over[r.Gen] || ctx.Err() != nil {
			q.mu.Unlock()
			return context.Canceled
		}
		if q.closed || isGone(conn) { // or nothing would end the lease
			q.mu.Unlock()
			return ErrClosed
		}
		if r.Exec && q.isGuarded() {
			q.mu.Unlock()
			return errorf("exec: %w", ErrGuardRuns)
		}
		if q.lease == nil {
			if q.barren >= mostBarren && !r.Exec {
				q.barren = 0
				after := q.giveUp(r.Rows)
				q.mu.Unlock()
				after()
				return errorf("guard: its process died %d times before it had begun, look at its start-up function: %w", mostBarren, ErrGuardLost)
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
			return errorf("guard: another one runs: %w", ErrGuardRuns)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// lend makes the lease. q.mu is held.
func (q *callQueue) lend(r leaseRequest, conn any) {
	l := &lease{gen: r.Gen, conn: conn, exec: r.Exec, id: r.ID, rows: r.Rows, idle: r.Idle}
	if q.gone != nil && q.gone.id == l.id {
		l.table = q.gone.table
	}
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
		for gen := range q.ended {
			delete(q.ended, gen) // any: holders that are there ask soon
			break
		}
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

// expectGuard says that a guard is about to come, before the rows of its table begin, which a process runs.
func (q *callQueue) expectGuard(id uint64, idle time.Duration, table any) {
	q.mu.Lock()
	expect := !q.closed && !q.isGuarded() && !isGone(table)
	if expect {
		if q.stop == stopped {
			q.stop = open
		}
		q.replace(&lease{id: id, rows: true, table: table, idle: idle})
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

// expectNone says that no guard is expected any more. q.mu is held.
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
	if l := q.gone; l != nil && l.table == conn { // whoever would start another guard, or tell that none comes, is no more
		after = join(after, q.giveUp(l.rows))
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
	after = q.loseCall()
	switch {
	case l.exec:
		return join(after, q.drainSoon)
	case !l.asked:
		q.barren++
	}
	if isGone(l.table) { // nobody is there to start another, or to tell
		return join(after, q.giveUp(l.rows))
	}
	q.replace(l)
	return join(after, q.drainSoon)
}

// loseCall ends the function that the lease's holder runs. It may be nil: none. q.mu is held, not when the returned function is called.
func (q *callQueue) loseCall() func() {
	e := q.current
	if e == nil || e.fn == nil || e.reported {
		return nil
	}
	e.reported = true
	return func() { q.finish(e, outcomeOf{err: lostCall(e)}) }
}

// failed says that a table's guard has failed for good.
func (q *callQueue) failed(id uint64) {
	q.mu.Lock()
	var after func()
	switch {
	case q.lease != nil && q.lease.id == id: // its process has not been heard to be gone yet
		after = join(q.loseCall(), q.end(endedLost), q.abandon())
	case q.gone != nil && q.gone.id == id:
		after = q.abandon()
	}
	q.mu.Unlock()
	if after != nil {
		after()
	}
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

// isGone reports whether a process has died, or lost its connection. With q.mu held it is true before connGone, or connGone comes after.
func isGone(conn any) bool {
	c, ok := conn.(interface{ gone() bool })
	return ok && c.gone()
}
