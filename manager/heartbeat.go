package manager

import (
	"context"
	"errors"
	"time"
)

// HeartbeatOptions configures a heartbeat. The zero value works.
type HeartbeatOptions struct {
	// Every is the time between two beats; 0: 1 s. It must be shorter than the guard's
	// GuardOptions.Idle.
	Every time.Duration
	// Drop removes the operator's queued calls from the queue if the process dies. Otherwise they
	// are run nevertheless.
	Drop bool
}

// Heartbeat shows that the process of an operator is alive. It is made by [Manager.Heartbeat]; its
// method may be called concurrently.
type Heartbeat struct {
	m    *Manager
	o    HeartbeatOptions
	stop context.CancelFunc
	over chan struct{}
	err  error // of the end
}

const defaultBeat = time.Second

// every is the time between two beats that the options ask for.
func (o *HeartbeatOptions) every() time.Duration {
	if o.Every == 0 {
		return defaultBeat
	}
	return o.Every
}

// Heartbeat lets the manager know, from now on, that the process acting as the handle's operator is
// alive. The operator's status is then "alive" and the time of the last beat; while a heartbeat is
// alive the guard does not end because it is idle, or because of a queued stop. A heartbeat ends by
// [Heartbeat.Stop] and when ctx ends, as a task's does when the task returns: the status is then
// "ended". If the process dies the manager notices at once: the status is "died", and the
// operator's queued calls are run nevertheless, or dropped if HeartbeatOptions.Drop says so. A
// process that is alive but does not beat, because it is stopped, counts as alive for the guard's
// idle limit.
//
// It is an error if the interval is negative or not shorter than the guard's idle limit.
func (m *Manager) Heartbeat(ctx context.Context, o HeartbeatOptions) (*Heartbeat, error) {
	if o.Every = o.every(); o.Every < 0 {
		return nil, errorf("heartbeat: Every is %v: make it more than 0, or 0 for %v", o.Every, defaultBeat)
	}
	id, err := m.beat(ctx, beatRequest{Every: o.Every, Drop: o.Drop})
	if err != nil {
		return nil, err
	}
	h := &Heartbeat{m: m, o: o, over: make(chan struct{})}
	ctx, h.stop = context.WithCancel(ctx)
	go h.run(ctx, id)
	return h, nil
}

func (h *Heartbeat) run(ctx context.Context, id uint64) {
	defer close(h.over)
	tick := time.NewTicker(h.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			next, err := h.m.beatApart(ctx, beatRequest{ID: id, Every: h.o.Every, Drop: h.o.Drop}) // given up, it could be noted after the end
			if err == nil {
				id = next // the manager may be another process by now
			} else if errors.Is(err, ErrClosed) {
				h.err = err
				return
			}
		case <-ctx.Done():
			_, h.err = h.m.beatApart(ctx, beatRequest{ID: id, End: true})
			return
		}
	}
}

// Stop ends the heartbeat, and returns once the manager knows. It may be called more than once.
func (h *Heartbeat) Stop() error {
	h.stop()
	<-h.over
	if errors.Is(h.err, ErrClosed) {
		return nil
	}
	return h.err
}

type beatRequest struct {
	Op    Operator
	ID    uint64 // 0: a new one
	Every time.Duration
	Drop  bool
	End   bool
}

// beatApart is beat whatever becomes of ctx.
func (m *Manager) beatApart(ctx context.Context, in beatRequest) (uint64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stringPatience)
	defer cancel()
	return m.beat(ctx, in)
}

func (m *Manager) beat(ctx context.Context, in beatRequest) (uint64, error) {
	in.Op = m.Operator()
	return opBeat.call(ctx, m, in)
}

var opBeat = define("heartbeat", true, func(_ context.Context, h *host, c *caller, in beatRequest) (uint64, error) {
	if err := h.check(in.Op); err != nil {
		return 0, err
	}
	text := "alive "
	if in.End {
		text = "ended "
	}
	id, err := h.queue.beat(in, c.of(), func() error {
		return h.tables.setStatus(in.Op.String(), text+time.Now().Format(time.RFC3339))
	})
	return id, err
})

// beat notes a beat. note is called before a heartbeat that ends is forgotten: who finds that it has ended finds its status too.
func (q *callQueue) beat(in beatRequest, conn any, note func() error) (uint64, error) {
	q.noting.Lock()
	defer q.noting.Unlock()
	q.mu.Lock()
	if isGone(conn) { // or nothing would end it
		q.mu.Unlock()
		return 0, ErrClosed
	}
	if in.Every > 0 && q.beats[in.ID] == nil {
		if limit := q.idleLimit(); limit > 0 && in.Every >= limit {
			q.mu.Unlock()
			return 0, errorf("heartbeat: a beat every %v is not shorter than the guard's idle limit of %v: make it so, or raise GuardOptions.Idle", in.Every, limit)
		}
	}
	b := q.beats[in.ID]
	if b == nil || b.conn != conn {
		if in.End {
			q.mu.Unlock()
			return 0, nil
		}
		if len(q.beats) >= mostBeats {
			q.mu.Unlock()
			return 0, errorf("heartbeat: %d beat already: stop some", mostBeats)
		}
		q.lastBeat++
		in.ID = q.lastBeat
		b = &beat{op: in.Op, conn: conn, drop: in.Drop, every: in.Every}
		q.beats[in.ID] = b
	}
	b.last = time.Now()
	q.mu.Unlock()
	err := note()
	if !in.End {
		return in.ID, err
	}
	q.mu.Lock()
	delete(q.beats, in.ID)
	q.last = time.Now()
	after := q.settle()
	q.mu.Unlock()
	if after != nil {
		after()
	}
	return in.ID, err
}

// mostBeats bounds the heartbeats of a manager.
const mostBeats = 1 << 16

// idleLimit is how long a guard waits, or is expected to; not above 0: for ever. q.mu is held.
func (q *callQueue) idleLimit() time.Duration {
	for _, l := range []*lease{q.lease, q.gone} {
		if l != nil && !l.exec {
			return l.idle
		}
	}
	return defaultIdle
}

// beat is a heartbeat.
type beat struct {
	op    Operator
	conn  any // nil: this process's
	last  time.Time
	every time.Duration
	drop  bool // its operator's calls, when its process dies
}

// beating reports whether a heartbeat lives: its process does, and its last beat is not older than a guard waits. q.mu is held.
func (q *callQueue) beating() bool {
	limit := q.idleLimit()
	if limit <= 0 {
		limit = defaultIdle
	}
	for _, b := range q.beats {
		if time.Since(b.last) <= max(limit, 2*b.every) {
			return true
		}
	}
	return false
}

// beatsGone ends the heartbeats of a process that has died. q.mu is held, not when the returned function is called.
func (q *callQueue) beatsGone(conn any) func() {
	after := func() {}
	for id, b := range q.beats {
		if b.conn != conn {
			continue
		}
		delete(q.beats, id)
		q.last = time.Now()
		if b.drop {
			_, dropped := q.discardLocked(b.op, errorf("%v's process has died, with its heartbeat its queued calls: %w", b.op, ErrDropped))
			after = join(after, dropped)
		}
		died := q.died
		after = join(after, func() {
			q.noting.Lock()
			defer q.noting.Unlock()
			died(b.op)
		})
	}
	return join(after, q.settle(), q.drainSoon)
}
