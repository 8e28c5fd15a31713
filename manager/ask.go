package manager

import (
	"context"

	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// askRequest is what the holder of a lease asks: what is there for it to do?
type askRequest struct {
	Gen   uint64
	Has   bool // the outcome of the function that it was given before
	Body  []byte
	Threw []byte
}

// askAnswer is a function that it is to run, or why its lease has ended.
type askAnswer struct {
	Call  *fnCall
	Ended string
	Calls int
}

var (
	askRequests = lazyCodec[askRequest]()
	askAnswers  = lazyCodec[askAnswer]()
)

// report is the outcome that a request tells of; nil: none.
func (in *askRequest) report(q *callQueue) *outcomeOf {
	switch {
	case !in.Has:
		return nil
	case in.Threw != nil:
		return &outcomeOf{err: failure(kindThrew, in.Threw)}
	}
	return &outcomeOf{value: &stored{typ: q.resultType(), bytes: in.Body}}
}

// resultType names the type of what the function that runs returns.
func (q *callQueue) resultType() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.current == nil || q.current.fn == nil {
		return ""
	}
	t, err := proc.ResultOf(q.current.fn.Name)
	if err != nil {
		return ""
	}
	return typeName(t)
}

// ask answers, now or later, by reply, which is called once and without the queue's lock and must not block. drain is q's, on this goroutine or not.
func (q *callQueue) ask(conn any, in askRequest, drain func(), reply func(askAnswer, error)) {
	report := in.report(q)
	q.mu.Lock()
	l := q.lease
	if l == nil || l.gen != in.Gen || l.conn != conn {
		l = q.ended[in.Gen]
		delete(q.ended, in.Gen)
		q.mu.Unlock()
		if l == nil { // it was another process of the manager's that has given it
			reply(askAnswer{}, errorf("guard: there is no such lease: %w", ErrLost))
			return
		}
		reply(askAnswer{Ended: l.ended, Calls: l.calls}, nil)
		return
	}
	if !l.asked && !l.exec {
		q.barren = 0
	}
	l.asked, l.reply = true, reply
	e := q.current
	reported := report != nil && e != nil && e.fn != nil && l.sent
	if reported {
		l.sent, e.reported = false, true
	}
	q.mu.Unlock()
	if reported {
		q.finish(e, *report)
	}
	drain()
}

// answer is what to call, without the lock, to tell the holder of a lease of what there is for it; nil: nothing, or it has not asked. q.mu is held.
func (q *callQueue) answer(l *lease) func() {
	reply := l.reply
	if reply == nil {
		return nil
	}
	if l.ended != "" {
		l.reply = nil
		delete(q.ended, l.gen)
		a := askAnswer{Ended: l.ended, Calls: l.calls}
		return func() { reply(a, nil) }
	}
	if e := q.current; q.lease == l && e != nil && e.fn != nil && !l.sent && !e.reported {
		l.reply, l.sent = nil, true
		fn := e.fn
		return func() { reply(askAnswer{Call: fn}, nil) }
	}
	return nil
}

// ask answers a request for what there is to do.
func (r *reader) ask(rec ring.Result, p *wire.Parcel) {
	c := r.c
	p.Close()
	var in askRequest
	if err := wire.Decode(askRequests(), rec.Body, &in, nil); err != nil {
		c.failed(rec.Call, errorf("guard asks: malformed request: %w", err))
		return
	}
	r.open()
	c.h.queue.ask(c, in, c.h.queue.drainHere, func(a askAnswer, err error) {
		out := ring.Result{Kind: kindAnswer, Call: rec.Call}
		if err == nil {
			out.Body, err = wire.Append(askAnswers(), nil, &a, nil)
		}
		if err != nil {
			out.Kind = kindFailed
			out.Body, _ = wire.Append(answerErrors(), nil, answerErrorOf(err), nil)
		}
		c.answerSoon(out)
	})
}

// ask is what the holder of a lease asks. It waits until there is something, or ctx ends: then the lease is to be given back.
func (m *Manager) ask(ctx context.Context, in askRequest) (a askAnswer, err error) {
	h, err := m.host()
	if err != nil {
		return a, err
	}
	if h != nil {
		type answer struct {
			a   askAnswer
			err error
		}
		told := make(chan answer, 1)
		go h.queue.ask(nil, in, h.queue.drainHere, func(a askAnswer, err error) { told <- answer{a, err} })
		select {
		case got := <-told:
			return got.a, got.err
		case <-ctx.Done():
			return a, context.Cause(ctx)
		}
	}
	c, err := m.at.(*remote).conn()
	if err != nil {
		return a, err
	}
	defer c.unuse()
	body, err := wire.Append(askRequests(), nil, &in, nil)
	if err != nil {
		return a, err
	}
	err = c.ask(ctx, kindAsk, 0, body, nil, func(body []byte, _ *wire.Parcel) error { return wire.Decode(askAnswers(), body, &a, nil) })
	return a, err
}
