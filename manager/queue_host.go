package manager

import (
	"context"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/wire"
)

// enqueue has a call be queued whose operator is who it claims to be.
func (h *host) enqueue(e *queued) (accepted bool, err error) {
	if c := &e.method; c.m != nil {
		e.what, e.size = c.m.name, len(c.args)
		o := h.object(c.object)
		c.on = o
		switch {
		case o == nil:
			err = errorf("append %s: object %d: %w", e.what, c.object, ErrReleased)
		case o.typ != c.m.typ:
			err = errorf("append %s: object %s is a %s: %w", e.what, o.what(), o.typ, ErrType)
		}
	}
	if err == nil {
		accepted, err = h.queue.append(e)
	}
	if err != nil {
		e.free()
	}
	return accepted, err
}

// appendHere queues a call of this process's own, or of an op: it waits for room for as long as ctx lasts.
func (h *host) appendHere(ctx context.Context, e *queued) error {
	if err := h.usable(); err != nil {
		e.free()
		return err
	}
	if err := h.check(e.op); err != nil {
		e.free()
		return errorf("append %s: %w", e.what, err)
	}
	told := make(chan error, 1)
	e.told = told
	accepted, err := h.enqueue(e)
	switch {
	case err != nil:
		return err
	case accepted:
		h.queue.kick()
		return nil
	}
	select {
	case err = <-told:
	case <-ctx.Done():
		if h.queue.withdraw(e) {
			e.free()
			return errorf("append %s: the queue is full: %w", e.what, context.Cause(ctx))
		}
		err = <-told
	}
	if err != nil {
		e.free()
	}
	return err
}

// runQueued runs a method or a built-in function.
func (h *host) runQueued(e *queued) outcomeOf {
	if e.own != nil {
		return e.own()
	}
	c := &e.method
	defer c.parcel.Close()
	o := c.on
	now, over, err := o.await()
	switch {
	case err != nil:
		return outcomeOf{err: errorf("%s: %w", e.what, err)}
	case !now:
		if err := over.wait(); err != nil {
			return outcomeOf{err: errorf("%s: %w", e.what, err)}
		}
		defer over.leave()
	default:
		defer o.leave()
	}
	r := &queuedRun{callContext: callContext{object: o, queue: h.id}}
	t := &r.callContext
	h.queueRuns.Store(t)
	if h.usable() != nil {
		t.cancel(context.Canceled)
	}
	defer func() {
		h.queueRuns.Store(nil)
		t.cancel(context.Canceled)
	}()
	body, out, failed := c.m.serve(t, o.v, c.args, c.parcel, r.mem[:0])
	return c.m.outcome(&r.stored, body, out, failed)
}

// mostResult bounds the result of a queued call, which goes with others. It is replaced by tests.
var mostResult = mostMessage / 2

// resultTooLarge is what the error of one says that is larger.
func resultTooLarge(body []byte) string {
	return fmt.Sprintf("the result of a queued call has %d bytes, over %d: share memory", len(body), mostResult)
}

// queuedRun is what one run of a queued method needs.
type queuedRun struct {
	callContext
	stored
	mem [24]byte // of its result, which mostly is small
}

// A turn is a place among an object's calls, of one that runs on the goroutine that waits for it.
type turn struct {
	come chan error    // nil: it is this call's turn
	gone chan struct{} // closed when it is over
}

func (t *turn) wait() error { return <-t.come }

func (t *turn) leave() { close(t.gone) }

// await takes a call's turn: now, until leave, or when the turn that it returns has come.
func (o *object) await() (now bool, t *turn, err error) {
	o.mu.Lock()
	now = !o.busy && !o.gone
	o.busy = o.busy || now
	o.mu.Unlock()
	if now {
		return true, nil, nil
	}
	return o.queueUp()
}

func (o *object) queueUp() (now bool, t *turn, err error) {
	now, err = o.enter(func() *job {
		t = &turn{make(chan error, 1), make(chan struct{})}
		return &job{run: func() {
			t.come <- nil
			<-t.gone
		}, refuse: func(err error) { t.come <- err }}
	})
	return now, t, err
}

// outcome makes a queued call's outcome of what the method has come to.
func (m *method) outcome(s *stored, body []byte, out *wire.Parcel, err *xme.Error) outcomeOf {
	if err != nil {
		return outcomeOf{err: err}
	}
	if len(body) > mostResult {
		out.Free()
		return outcomeOf{err: m.threw(xme.CauseEncode, resultTooLarge(body), "", xme.ErrEncode)}
	}
	s.typ, s.bytes = m.out, body
	if out != nil {
		defer out.Free()
		if len(out.Items) > 0 {
			return outcomeOf{err: m.threw(xme.CauseEncode, "the result of a queued call cannot hold open files", "", xme.ErrEncode)}
		}
		if err := out.Fits(); err != nil {
			return outcomeOf{err: m.threw(xme.CauseEncode, "the result of a queued call: "+err.Error(), "", xme.ErrEncode)}
		}
		s.handles = true
		if out.Regions.Len() > 0 {
			set := out.Regions.Take()
			s.held = &set
		}
	}
	return outcomeOf{value: s}
}
