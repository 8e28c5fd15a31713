package manager

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
)

// tableCall is a call of a registered function that was appended.
type tableCall struct {
	call *xme.Call
	once sync.Once
	stop func() bool          // watching its context
	by   atomic.Pointer[conn] // that it is appended by; nil: none yet, or it is appended in this process
}

func (t *tableCall) finish(body []byte, err error) {
	t.stop()
	t.once.Do(func() { go t.call.Finish(body, err) }) // it decodes
}

// cut ends the call with its context, on a goroutine of its own, and has who waits for it look, who may sleep until an answer comes.
func (t *tableCall) cut() {
	first := false
	t.once.Do(func() { first = true })
	if !first {
		return
	}
	t.call.Finish(nil, context.Cause(t.call.Context()))
	if c := t.by.Load(); c != nil && c.use() == nil {
		c.end.Wake()
		c.unuse()
	}
}

// came implements awaitedCall.
func (t *tableCall) came(kind uint8, body []byte) {
	if kind != kindAnswer {
		t.finish(nil, failure(kind, body))
		return
	}
	t.finish(append([]byte(nil), body...), nil)
}

// cameWith implements awaitedCall.
func (t *tableCall) cameWith(s *stored) {
	s.release()
	t.finish(nil, errors.ErrUnsupported)
}

// failed implements awaitedCall.
func (t *tableCall) failed(err error) { t.finish(nil, err) }

// finished implements sink.
func (t *tableCall) finished(_ uint64, o outcomeOf) {
	if o.err != nil {
		t.finish(nil, o.err)
		return
	}
	t.finish(o.value.bytes, nil)
}

// Submit implements [xme.Executor]: it appends calls of registered functions, which the guard runs
// in its own process. It waits for room only for the first, and no longer than ctx lasts. Their
// arguments and results cannot hold shared memory or open files. No option is honoured except
// Retries, which is handled above this level.
//
// When a call's context ends, so does its future; the call stays queued, and is run nevertheless: a
// task may return without waiting for what it has queued. A queued call that waits for the future
// of a function, which is behind it in the queue, gets ErrDeadlock.
func (q *Queue) Submit(ctx context.Context, calls []*xme.Call) (int, error) {
	for i, c := range calls {
		args, err := c.AppendArgs(nil)
		if err == nil {
			err = refused(c.Options())
		}
		if err != nil {
			c.Finish(nil, err)
			continue
		}
		if err := q.submit(ctx, c, args, i > 0); err != nil {
			if i > 0 {
				err = nil // who submits the rest is told
			}
			return i, err
		}
	}
	return len(calls), nil
}

func refused(o xme.CallOptions) error {
	option := ""
	switch {
	case len(o.On) > 0:
		option = "On"
	case o.Fresh:
		option = "Fresh"
	case o.Service:
		option = "Service"
	case o.Memory != 0:
		option = "Memory"
	case o.Timeout != 0:
		option = "Timeout"
	default:
		return nil
	}
	return errorf("a queue does not honour option %s: %w", option, errors.ErrUnsupported)
}

// submit appends a call. now: it does not wait for room.
func (q *Queue) submit(ctx context.Context, c *xme.Call, args []byte, now bool) error {
	m := q.m
	h, err := m.host()
	if err != nil {
		return errorf("append %s: %w", c.Name(), err)
	}
	t := &tableCall{call: c}
	t.stop = context.AfterFunc(c.Context(), t.cut)
	nested := queueOf(ctx) == m.id
	call := fnCall{c.Name(), args}
	if h != nil {
		return t.submitted(h.appendHere(ctx, &queued{op: m.op, nested: nested, now: now, to: t, what: call.Name, fn: &call, size: len(args)}))
	}
	conn, err := m.at.(*remote).conn()
	if err != nil {
		return t.submitted(err)
	}
	defer conn.unuse()
	t.by.Store(conn)
	id, err := conn.queued.add(t)
	if err != nil {
		return t.submitted(err)
	}
	head := appendHead{method: uint16(len(call.Name)), nested: nested, now: now, id: id, op: m.op}
	body := append(append(head.put(nil), call.Name...), args...)
	if err := conn.appendCall(ctx, 0, body, nil); err != nil {
		if conn.queued.take(id) == nil { // it has its end already, with the connection's or because it was accepted and has run
			return nil
		}
		return t.submitted(err)
	}
	if !proc.Pulled(c) {
		conn.pump()
	}
	return nil
}

// submitted is the end of an append: a call that was not accepted is not watched any more.
func (t *tableCall) submitted(err error) error {
	if err == nil {
		return nil
	}
	t.stop()
	refused := false
	t.once.Do(func() { refused = true })
	if !refused { // it has ended already, and its context with it
		return nil
	}
	return err
}

// Pull is for package xme, whose futures call it: programs have no use for it. It fetches the
// outcomes of calls for those who wait for one of them, until done is closed or ctx ends. Within a
// call that runs from the queue the error wraps ErrDeadlock.
func (q *Queue) Pull(ctx context.Context, done <-chan struct{}) error {
	if queueOf(ctx) == q.m.id {
		return errorf("%w: %w", errOwnQueue, ErrDeadlock)
	}
	r, ok := q.m.at.(*remote)
	if !ok {
		return nil
	}
	r.mu.Lock()
	c := r.c
	r.mu.Unlock()
	if c == nil {
		return nil
	}
	c.fetch(ctx, done)
	return nil
}
