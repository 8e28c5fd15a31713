package manager

import (
	"context"
)

// mostKept is how many outcomes of an operator's calls are kept until they are fetched.
const mostKept = 255

// buffer has the outcomes of one operator's calls. The queue's lock guards it.
type buffer struct {
	kept    fifo[keptOutcome]
	dropped int // since the last one was fetched
	pending int // calls that have not ended
	more    chan struct{}
}

type keptOutcome struct {
	seq     uint64
	what    string
	dropped int // before it, since the one that was kept before it
	outcome outcomeOf
}

func (q *callQueue) bufferOf(o Operator) *buffer {
	b := q.buffers[o.number]
	if b == nil {
		b = &buffer{}
		q.buffers[o.number] = b
	}
	return b
}

func (b *buffer) wake() {
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
}

// record keeps a call's outcome for its operator. q.mu is held.
func (q *callQueue) record(e *queued, o outcomeOf) {
	b := e.buffer
	b.pending--
	if q.closed {
		return
	}
	if b.kept.len() == mostKept {
		old := b.kept.pop()
		old.outcome.value.release()
		b.dropped++
	}
	b.kept.push(keptOutcome{seq: e.seq, what: e.what, outcome: outcomeOf{o.value.keep(), o.err}})
	b.wake()
}

// oldest waits for the oldest outcome of an operator's calls. Its value is lent: see stored.
func (q *callQueue) oldest(ctx context.Context, o Operator) (k keptOutcome, err error) {
	for {
		q.mu.Lock()
		b := q.bufferOf(o)
		switch {
		case q.closed:
			err = ErrClosed
		case b.kept.len() > 0:
			k = b.kept.first()
			k.dropped = b.dropped
			k.outcome.value = k.outcome.value.lend()
			q.mu.Unlock()
			return k, nil
		case q.stop >= draining && b.pending == 0:
			err = errorf("no call of %v is queued: %w", o, ErrGuardStopped)
		}
		if err != nil {
			q.mu.Unlock()
			return k, err
		}
		if b.more == nil {
			b.more = make(chan struct{})
		}
		more := b.more
		q.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return k, context.Cause(ctx)
		}
	}
}

// take removes an outcome that was fetched; false: somebody else has.
func (q *callQueue) take(o Operator, seq uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.bufferOf(o)
	n := b.kept.remove(func(k keptOutcome) bool {
		if k.seq == seq {
			k.outcome.value.release()
		}
		return k.seq == seq
	})
	if n > 0 {
		b.dropped = 0
	}
	return n > 0
}

// clean forgets the outcomes that are kept for an operator.
func (q *callQueue) clean(o Operator) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.bufferOf(o)
	n := b.kept.len()
	b.kept.each(func(k keptOutcome) { k.outcome.value.release() })
	b.kept = fifo[keptOutcome]{}
	b.dropped = 0
	return n
}

// discard takes an operator's calls out of the queue that have not begun: they end with why.
func (q *callQueue) discard(o Operator, why error) int {
	q.mu.Lock()
	n, after := q.discardLocked(o, why)
	settled := q.settle()
	q.mu.Unlock()
	join(after, settled, q.drainSoon)()
	return n
}

func (q *callQueue) discardLocked(o Operator, why error) (int, func()) {
	var out []*queued
	q.entries.remove(func(e *queued) bool {
		if e.op.number == o.number {
			out = append(out, e)
		}
		return e.op.number == o.number
	})
	after := q.drop(out, why)
	in := q.admit()
	return len(out), join(after, func() {
		for _, w := range in {
			w.admitted(nil)
		}
	})
}

// release gives up what is kept, for a queue that is closed.
func (q *callQueue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, b := range q.buffers {
		b.kept.each(func(k keptOutcome) { k.outcome.value.release() })
		b.kept = fifo[keptOutcome]{}
	}
}
