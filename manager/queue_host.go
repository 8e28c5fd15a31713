package manager

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/wire"
)

// enqueue has a call be queued whose operator is who it claims to be.
func (h *host) enqueue(e *queued) (accepted bool, err error) {
	if c := e.method; c != nil {
		e.what, e.size = c.m.name, len(c.args)
		o := h.object(c.object)
		switch {
		case o == nil:
			err = fmt.Errorf("manager: append %s: object %d: %w", e.what, c.object, ErrReleased)
		case o.typ != c.m.typ:
			err = fmt.Errorf("manager: append %s: object %s is a %s: %w", e.what, o.what(), o.typ, ErrType)
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
		return err
	}
	if err := h.check(e.op); err != nil {
		e.free()
		return fmt.Errorf("manager: append %s: %w", e.what, err)
	}
	told := make(chan error, 1)
	e.admitted = func(err error) { told <- err }
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
			return fmt.Errorf("manager: append %s: the queue is full: %w", e.what, context.Cause(ctx))
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
	c := e.method
	o := h.object(c.object)
	if o == nil {
		c.parcel.Close()
		return outcomeOf{err: fmt.Errorf("manager: %s: object %d: %w", e.what, c.object, ErrReleased)}
	}
	var out outcomeOf
	run := func() {
		t := &callContext{object: o, queue: h.id}
		h.queueRuns.Store(t)
		if h.usable() != nil {
			t.cancel(context.Canceled)
		}
		defer func() {
			h.queueRuns.Store(nil)
			t.cancel(context.Canceled)
		}()
		out.err = c.m.threw(xme.CausePanic, "called runtime.Goexit", "", nil) // unless it comes to an end
		out = c.m.outcome(c.m.serve(t, o.v, c.args, c.parcel, nil))
		c.parcel.Close()
	}
	over := make(chan struct{})
	now, err := o.enter(func() *job {
		return &job{run: func() {
			defer close(over)
			run()
		}, refuse: func(err error) {
			c.parcel.Close()
			out.err = fmt.Errorf("manager: %s: %w", e.what, err)
			close(over)
		}}
	})
	switch {
	case err != nil:
		c.parcel.Close()
		return outcomeOf{err: fmt.Errorf("manager: %s: %w", e.what, err)}
	case now:
		defer o.leave()
		run()
	default:
		<-over
	}
	return out
}

// outcome makes a queued call's outcome of what the method has come to.
func (m *method) outcome(body []byte, out *wire.Parcel, err *xme.Error) outcomeOf {
	if err != nil {
		return outcomeOf{err: err}
	}
	defer out.Free()
	s := &stored{typ: m.out, bytes: body}
	if out != nil {
		if len(out.Items) > 0 {
			return outcomeOf{err: m.threw(xme.CauseEncode, "the result of a queued call cannot hold open files", "", xme.ErrEncode)}
		}
		s.handles = true
		if out.Regions.Len() > 0 {
			set := out.Regions.Take()
			s.held = &set
		}
	}
	return outcomeOf{value: s}
}

// finishedCalls are calls that a process has appended and that have ended, until they are fetched.
type finishedCalls struct {
	mu     sync.Mutex
	closed bool
	list   fifo[finishedCall]
	more   chan struct{} // nil: nobody waits
}

type finishedCall struct {
	id uint64
	o  outcomeOf
}

// finished implements sink.
func (c *hostConn) finished(id uint64, o outcomeOf) {
	f := &c.done
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		o.value.release()
		return
	}
	f.list.push(finishedCall{id, o})
	if f.more != nil {
		close(f.more)
		f.more = nil
	}
}

func (f *finishedCalls) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.list.each(func(c finishedCall) { c.o.value.release() })
	f.list = fifo[finishedCall]{}
	if f.more != nil {
		close(f.more)
		f.more = nil
	}
}

// Bounds of what rides on an answer.
const (
	rideBytes = 4 << 10
	rideCalls = 64
)

// take appends finished calls to dst that need no parcel: each call's number (8 bytes), the kind of its outcome (1), its length (4), itself.
func (f *finishedCalls) take(dst []byte, bytes, calls int) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := 0; n < calls && f.list.len() > 0; n++ {
		next := f.list.first()
		if next.o.value.names() > 0 || next.o.value.size() > bytes {
			break
		}
		f.list.pop()
		at := len(dst)
		dst = binary.LittleEndian.AppendUint64(dst, next.id)
		dst = next.o.append(append(dst, 0, 0, 0, 0, 0))
		dst[at+8] = next.o.kind()
		binary.LittleEndian.PutUint32(dst[at+9:], uint32(len(dst)-at-finishedSize))
		if bytes -= len(dst) - at; bytes <= 0 {
			break
		}
	}
	return dst
}

const finishedSize = 8 + 1 + 4

// kind is the kind of record that an outcome would be.
func (o *outcomeOf) kind() uint8 {
	switch e := o.err.(type) { //nolint:errorlint // the error itself
	case nil:
		return kindAnswer
	case *xme.Error:
		_ = e
		return kindThrew
	}
	return kindFailed
}

// append encodes an outcome, but for what a value holds.
func (o *outcomeOf) append(dst []byte) []byte {
	switch e := o.err.(type) { //nolint:errorlint // the error itself
	case nil:
		return append(dst, o.value.bytes...)
	case *xme.Error:
		return append(dst, errorBody(e)...)
	}
	body, err := answerErrors.Append(dst, answerErrorOf(o.err), nil)
	if err != nil {
		return dst
	}
	return body
}

// accepted answers an append.
func (c *hostConn) accepted(call uint32, _ *queued, err error) {
	if err != nil {
		c.failed(call, err)
		return
	}
	var mem [512]byte
	c.answer(kindAnswer, call, c.done.take(mem[:0], rideBytes, rideCalls), nil)
}

// awaitsRoom has a call be withdrawn if who appends it gives up.
func (c *hostConn) awaitsRoom(call uint32, e *queued) {
	if c.crowded() || !c.use() { // until it is answered
		return
	}
	t := c.begin(call, nil)
	context.AfterFunc(t, func() {
		if c.h.queue.withdraw(e) {
			e.free()
			e.admitted(context.Canceled)
		}
	})
}

// collectOut are calls that have ended.
type collectOut struct {
	Plain []byte // see finishedCalls.take
	ID    uint64 // of one that names memory
	Value *stored
}

// mostCollected bounds the bytes of one answer, beyond one call's.
const mostCollected = 1 << 20

var errNoCollector = errors.New("manager: calls of this process's own are not fetched")

var opCollect = defineStored("collect", true, func(ctx context.Context, _ *host, c *caller, _ struct{}) (out collectOut, err error) {
	if c.conn == nil {
		return out, errNoCollector
	}
	f := &c.conn.done
	for {
		f.mu.Lock()
		if f.closed {
			f.mu.Unlock()
			return out, ErrClosed
		}
		if f.list.len() > 0 {
			first := f.list.first()
			if first.o.value.names() > 0 {
				f.list.pop()
				f.mu.Unlock()
				s := *first.o.value
				s.loose = true
				return collectOut{ID: first.id, Value: &s}, nil
			}
			size := first.o.value.size()
			f.mu.Unlock()
			return collectOut{Plain: f.take(nil, max(mostCollected, size), mostCollected)}, nil
		}
		if f.more == nil {
			f.more = make(chan struct{})
		}
		more := f.more
		f.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return out, context.Cause(ctx)
		}
	}
})
