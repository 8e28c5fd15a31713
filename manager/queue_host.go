package manager

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/ring"
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
		e.free()
		return err
	}
	if err := h.check(e.op); err != nil {
		e.free()
		return fmt.Errorf("manager: append %s: %w", e.what, err)
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
	c := &e.method
	defer c.parcel.Close()
	o := c.on
	now, over, err := o.await()
	switch {
	case err != nil:
		return outcomeOf{err: fmt.Errorf("manager: %s: %w", e.what, err)}
	case !now:
		if err := over.wait(); err != nil {
			return outcomeOf{err: fmt.Errorf("manager: %s: %w", e.what, err)}
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

// mostResult bounds the result of a queued call, which goes with others.
const mostResult = mostMessage / 2

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
		return outcomeOf{err: m.threw(xme.CauseEncode, fmt.Sprintf("the result of a queued call has %d bytes, over %d: share memory", len(body), mostResult), "", xme.ErrEncode)}
	}
	s.typ, s.bytes = m.out, body
	if out != nil {
		defer out.Free()
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
	asking []uint32 // who fetches, by the numbers of their calls; list is empty
}

type finishedCall struct {
	id uint64
	o  outcomeOf
}

// finished implements sink.
func (c *hostConn) finished(id uint64, o outcomeOf) {
	f := &c.done
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		o.value.release()
		return
	}
	f.list.push(finishedCall{id, o})
	asks := len(f.asking) > 0
	var call uint32
	if asks {
		call, f.asking = f.asking[0], f.asking[1:]
	}
	f.mu.Unlock()
	if asks {
		c.tell(call)
	}
}

func (f *finishedCalls) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.list.each(func(c finishedCall) { c.o.value.release() })
	f.list, f.asking = fifo[finishedCall]{}, nil
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
		if next.o.value.names() > 0 && n == 0 && calls == rideCalls { // it does not ride: it is to be fetched
			return append(dst, make([]byte, finishedSize)...)
		}
		if next.o.value.names() > 0 || n > 0 && next.o.value.size() > bytes {
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

// admitted answers an append that waited for room.
func (c *hostConn) admitted(e *queued, err error) {
	c.mu.Lock()
	e.answered = true
	used := e.holds
	if !used && c.users > 0 { // it is told before it waits
		c.users++
		used = true
	}
	c.mu.Unlock()
	c.ended(e.call)
	if err != nil {
		e.free()
	}
	if !used {
		return
	}
	go func() { // whoever made room is not to wait for who does not read
		defer c.unuse()
		c.accepted(e.call, err, nil)
	}()
}

// accepted answers an append. mem is memory for what rides on the answer; it returns it, or more.
func (c *hostConn) accepted(call uint32, err error, mem []byte) []byte {
	if err != nil {
		c.failed(call, err)
		return mem
	}
	mem = c.done.take(mem[:0], rideBytes, rideCalls)
	c.answerSoon(ring.Result{Kind: kindAnswer, Call: call, Body: mem})
	return mem
}

// awaitsRoom has a call be withdrawn if who appends it gives up.
func (c *hostConn) awaitsRoom(call uint32, e *queued) {
	c.mu.Lock()
	if e.answered {
		c.mu.Unlock()
		return
	}
	c.users++ // until it is answered; who reads has one
	e.holds = true
	c.mu.Unlock()
	t := c.begin(call, nil)
	context.AfterFunc(t, func() {
		if c.h.queue.withdraw(e) {
			e.admitted(context.Canceled)
		}
	})
	c.mu.Lock()
	late := e.answered
	c.mu.Unlock()
	if late {
		c.ended(call)
	}
	c.crowded()
}

// What the answer to a collect begins with.
const (
	collectPlain = iota // finished calls: see finishedCalls.take
	collectWith         // one whose value names memory: a collected, encoded
)

// collected is a call that has ended with a value that names memory.
type collected struct {
	ID    uint64
	Value *stored
}

var collectedCodec = func() func() *wire.Codec[collected] {
	if !storedCrosses {
		panic("manager: values do not cross yet")
	}
	return sync.OnceValue(mustCodec[collected])
}()

// mostCollected bounds the bytes of one answer, beyond one call's.
const mostCollected = 1 << 20

// collect answers who fetches calls that have ended: now, or once one has.
func (c *hostConn) collect(call uint32) {
	f := &c.done
	f.mu.Lock()
	if f.list.len() == 0 || len(f.asking) > 0 {
		if len(f.asking) < mostAsking {
			f.asking = append(f.asking, call)
		}
		f.mu.Unlock()
		return
	}
	f.mu.Unlock()
	c.tell(call)
}

// mostAsking bounds who fetches at a time: one does, of a process that keeps to the rules.
const mostAsking = 16

// tell answers a collect. There is something to tell.
func (c *hostConn) tell(call uint32) {
	f := &c.done
	f.mu.Lock()
	var with *finishedCall
	if f.list.len() > 0 && f.list.first().o.value.names() > 0 {
		one := f.list.pop()
		with = &one
	}
	f.mu.Unlock()
	if with == nil {
		body := f.take([]byte{collectPlain}, mostCollected, mostCollected)
		c.answerSoon(ring.Result{Kind: kindAnswer, Call: call, Body: body})
		return
	}
	s := *with.o.value
	s.loose = true // appendStored gives it back
	p := wire.NewParcel()
	body, err := collectedCodec().Append([]byte{collectWith}, &collected{with.id, &s}, p)
	go func() { // who finishes calls is not to wait for who does not read
		defer p.Free()
		if !c.use() {
			return
		}
		defer c.unuse()
		if err != nil {
			c.failed(call, err)
			return
		}
		c.answer(kindAnswer, call, body, p)
	}()
}

// answerSoon answers now if there is room, otherwise on another goroutine.
func (c *hostConn) answerSoon(r ring.Result) {
	if !c.use() {
		return
	}
	if c.end.Fits(len(r.Body)) && c.writing.TryLock() {
		ok := c.end.Put(r)
		c.writing.Unlock()
		if ok {
			c.unuse()
			return
		}
	}
	r.Body = slices.Clone(r.Body)
	go func() {
		defer c.unuse()
		c.answer(r.Kind, r.Call, r.Body, nil)
	}()
}
