package manager

import (
	"errors"
	"sync"
	"time"

	"github.com/xenonmp/xme"
)

// drain runs what is there to run until there is nothing, another goroutine does, or the next call is the guard's to run. It does so on a goroutine that
// a method may end, and waits for that.
func (q *callQueue) drain() {
	q.mu.Lock()
	none := q.current != nil || q.entries.len() == 0
	var after func()
	if none {
		after = q.settle()
	}
	q.mu.Unlock()
	if after != nil {
		after()
	}
	if none {
		return
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		q.drainHere()
	}()
	<-over
}

// drainHere is drain on this goroutine.
func (q *callQueue) drainHere() {
	for q.drainOne() {
	}
}

// kick has what is there to run be run on another goroutine, if nothing runs.
func (q *callQueue) kick() {
	q.mu.Lock()
	work := q.current == nil && q.lease != nil && q.lease.asked && q.entries.len() > 0
	q.mu.Unlock()
	if work {
		go q.drainHere()
	}
}

// drainOne runs one call; false: there is none to run here.
func (q *callQueue) drainOne() bool {
	q.mu.Lock()
	e, in := q.next()
	after := q.settle()
	if l := q.lease; l != nil && l.reply != nil {
		after = join(after, q.answer(l))
	}
	q.mu.Unlock()
	for _, w := range in {
		w.admitted(nil)
	}
	if after != nil {
		after()
	}
	if e == nil {
		return false
	}
	return q.runOne(e)
}

// runOne runs a call, and reports whether there are more.
func (q *callQueue) runOne(e *queued) (more bool) {
	o, returned := outcomeOf{err: errExited}, false
	defer func() {
		if m := e.method.m; !returned && m != nil {
			o.err = m.threw(xme.CausePanic, "called runtime.Goexit", "", nil)
		}
		more = q.finish(e, o)
		if !returned { // it has ended this goroutine
			go q.drainHere()
		}
	}()
	o = q.run(e)
	returned = true
	return false // finish says
}

var errExited = errors.New("manager: a queued call has ended its goroutine, by runtime.Goexit")

// next takes the next call to run here, and lets others in. q.mu is held.
func (q *callQueue) next() (e *queued, in []*queued) {
	l := q.lease
	switch {
	case q.closed || q.current != nil || q.entries.len() == 0:
		return nil, nil
	case l == nil && (q.stop != draining || q.entries.first().fn != nil || q.gone != nil && !q.gone.asked):
		// What is drained needs no guard once one has begun, but for functions.
		return nil, nil
	case l != nil && (!l.asked || l.exec && l.calls > 0):
		return nil, nil
	}
	e = q.entries.pop()
	q.bytes -= e.size
	q.current = e
	if l != nil {
		l.calls++
	}
	in = q.admit()
	if e.fn != nil {
		l.sent = false
		return nil, in
	}
	return e, in
}

// finish ends the call that runs, and reports whether others are queued.
func (q *callQueue) finish(e *queued, o outcomeOf) (more bool) {
	q.mu.Lock()
	q.current = nil
	q.last = time.Time{}
	if q.entries.len() == 0 {
		q.last = time.Now()
	}
	q.record(e, o)
	after := q.settle()
	more = q.entries.len() > 0
	q.mu.Unlock()
	if e.to != nil {
		e.to.finished(e.id, o)
	} else {
		o.value.release()
	}
	e.reuse()
	if after != nil {
		after()
	}
	return more
}

// drop ends calls that will not run. They are in no list any more. q.mu is held; the returned function is called without it.
func (q *callQueue) drop(calls []*queued, why error) func() {
	if len(calls) > 0 {
		q.last = time.Now()
	}
	for _, e := range calls {
		q.bytes -= e.size
		q.record(e, outcomeOf{err: why})
	}
	return func() {
		for _, e := range calls {
			e.free()
			if e.to != nil {
				e.to.finished(e.id, outcomeOf{err: why})
			}
		}
	}
}

// free gives up what a call that never runs holds.
func (e *queued) free() {
	e.method.parcel.Close()
	if e.drop != nil {
		e.drop()
	}
}

// settle ends a lease whose time has come. What it returns is called without the lock; it may be nil. q.mu is held.
func (q *callQueue) settle() (after func()) {
	l := q.lease
	if q.stop == asked && !q.held() {
		after = q.beginStop()
	}
	if q.current != nil {
		return after
	}
	switch {
	case l != nil && l.exec && (l.calls > 0 || l.asked && q.entries.len() == 0):
		return join(after, q.end(endedExec))
	case q.stop != draining || l != nil && l.exec:
	case q.entries.len() == 0 && l == nil && q.gone != nil: // who takes its place is to find that it was stopped
	case q.entries.len() == 0:
		q.stop = stopped
		if l != nil {
			return join(after, q.end(endedStop))
		}
		return join(after, q.told())
	case l == nil && q.gone == nil && q.entries.first().fn != nil: // no process is there to run it
		var lost []*queued
		for q.entries.len() > 0 && q.entries.first().fn != nil {
			lost = append(lost, q.entries.pop())
		}
		return join(after, q.drop(lost, errorf("%s, and functions behind it: %w", lost[0].what, ErrGuardLost)), q.drainSoon)
	}
	return after
}

func lostCall(e *queued) error { return errorf("%s: %w", e.what, ErrGuardLost) }

// join makes one function of several, some of which may be nil.
func join(all ...func()) func() {
	return func() {
		for _, f := range all {
			if f != nil {
				f()
			}
		}
	}
}

// held reports whether rows or heartbeats keep a guard from ending. q.mu is held.
func (q *callQueue) held() bool {
	return q.lease != nil && q.lease.rows || q.gone != nil && q.gone.rows || q.beating()
}

// blanks are calls to be filled in.
var blanks = sync.Pool{New: func() any { return &queued{pooled: true} }}

// mostReused bounds the arguments whose memory is used again.
const mostReused = 1 << 10

// reuse takes back a call that has ended, and that nobody refers to.
func (e *queued) reuse() {
	if !e.pooled || e.fn != nil || cap(e.method.args) > mostReused {
		return
	}
	*e = queued{pooled: true, method: queuedMethod{args: e.method.args[:0]}}
	blanks.Put(e)
}
