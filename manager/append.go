package manager

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// queuedMethod is a queued call of an object's method.
type queuedMethod struct {
	object uint32
	on     *object // where it lives
	m      *method
	args   []byte
	parcel *wire.Parcel
}

// Append queues a call of the method, behind all that were queued before, for whoever runs the
// manager's queue: its guard, or [Queue.Exec]. It returns a future of the call's result once the
// manager has accepted the call, which is then run once whatever becomes of this process. ctx
// bounds only the acceptance, not the call.
//
// If the queue is full, Append waits while a guard runs; otherwise, and within a call that itself
// runs from the queue, the error wraps ErrFull. Other errors wrap ErrGuardStopped, ErrClosed,
// ErrLost, ErrReleased, ErrNotAuthorised or xme.ErrEncode; if ctx has ended, or the error is
// ErrLost, the call may have been accepted. The result is also kept for the operator of the
// object's handle: see [Queue.Results].
//
// Append may be called concurrently. The calls that one goroutine appends run in the order in which
// it appends them.
func (m *MethodFunc[T, In, Out]) Append(ctx context.Context, o *Object[T], in In) (*Future[Out], error) {
	h, r, err := o.where(m.name)
	if err != nil {
		return nil, err
	}
	p := m.in.Plan.NewParcel()
	nested := queueOf(ctx) == o.ref.m.id
	f := newQueued(o.ref.m.id, m.out.Plan.Exact(), m.decode)
	if h != nil {
		args, err := wire.Append(m.in, nil, &in, p)
		if err == nil {
			holdOn(p) // it runs when this task may have ended
			err = h.appendHere(ctx, &queued{op: o.ref.m.op, nested: nested, to: f, method: queuedMethod{object: o.ref.short(), m: &m.method, args: args, parcel: p}})
		} else {
			err = m.uncrossed(err)
		}
		if err != nil {
			p.Close()
			return nil, err
		}
		return f, nil
	}
	defer p.Free()
	buf := bodies.Get().(*[]byte)
	defer bodies.Put(buf)
	c, err := r.conn()
	if err != nil {
		return nil, err
	}
	defer c.unuse()
	head := appendHead{method: m.number(), nested: nested, op: o.ref.m.op}
	if head.id, err = c.queued.add(f); err != nil {
		return nil, err
	}
	f.queued.conn = c
	body, err := wire.Append(m.in, head.put((*buf)[:0]), &in, p)
	if err != nil {
		c.queued.take(head.id)
		return nil, m.uncrossed(err)
	}
	*buf = body[:0]
	if err := c.appendCall(ctx, o.ref.short(), body, p); err != nil {
		c.queued.take(head.id)
		return nil, err
	}
	return f, nil
}

// appendCall has the manager accept a call.
func (c *conn) appendCall(ctx context.Context, object uint32, body []byte, p *wire.Parcel) error {
	return c.ask(ctx, kindAppend, object, body, p, func(body []byte, _ *wire.Parcel) error { return c.settle(body) })
}

// appendHead is what an append's message has before the argument: the method's number, or of a function, which has no object, the length of its name (2
// bytes), which comes before the argument, flags (1), the call's number in its process (8), the operator (a byte for its length, itself).
type appendHead struct {
	method uint16
	nested bool
	now    bool
	id     uint64
	op     Operator
}

func (a *appendHead) put(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, a.method)
	flag := byte(0)
	if a.nested {
		flag = appendNested
	}
	if a.now {
		flag |= appendNow
	}
	dst = binary.LittleEndian.AppendUint64(append(dst, flag), a.id)
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(append(dst, 0), a.op.number)
	if a.op.number != 0 {
		dst = append(dst, a.op.secretText()...)
	}
	dst[at] = byte(len(dst) - at - 1)
	return dst
}

// The flags of an append.
const (
	appendNested = 1 << iota // it is made by a call that runs from the queue
	appendNow                // it does not wait for room
)

const appendHeadSize = 2 + 1 + 8 + 1

// take reads the head of a message, and returns what is behind it.
func (a *appendHead) take(b []byte, c *hostConn) (args []byte, err error) {
	if len(b) < appendHeadSize || len(b) < appendHeadSize+int(b[appendHeadSize-1]) {
		return nil, errRubbish
	}
	a.method, a.nested, a.now, a.id = binary.LittleEndian.Uint16(b), b[2]&appendNested != 0, b[2]&appendNow != 0, binary.LittleEndian.Uint64(b[3:])
	op := b[appendHeadSize:][:b[appendHeadSize-1]]
	args = b[appendHeadSize+len(op):]
	if len(op) > 0 && string(op) == string(c.knownAs) {
		a.op = c.known
		return args, nil
	}
	return args, a.op.UnmarshalBinary(op)
}

// accept has a call be appended that a connection brought. Answers go by reply, perhaps later.
func (r *reader) accept(rec ring.Result, number uint32, p *wire.Parcel) {
	c := r.c
	var head appendHead
	args, err := head.take(rec.Body, c)
	if err != nil {
		p.Close()
		c.bye()
		return
	}
	e := blanks.Get().(*queued)
	e.op, e.nested, e.now, e.from, e.to, e.id, e.call = head.op, head.nested, head.now, c, c, head.id, rec.Call
	if number == 0 {
		p.Close()
		p, e.fn = nil, &fnCall{Name: string(args[:min(len(args), int(head.method))])}
		e.fn.Args = append([]byte(nil), args[len(e.fn.Name):]...)
		e.what, e.size = e.fn.Name, len(args)
	} else if m := methodAt(head.method); m != nil {
		e.method = queuedMethod{object: number, m: m, args: append(e.method.args[:0], args...), parcel: p}
	} else {
		p.Close()
		c.failed(rec.Call, errorf("object %d: no such method: %w", number, ErrType))
		return
	}
	if head.op.number == 0 || c.known != head.op { // c.known is nobody at first
		if err := c.h.check(head.op); err != nil {
			p.Close()
			c.failed(rec.Call, errorf("append: %w", err))
			return
		}
		c.known, c.knownAs = head.op, slices.Clone(rec.Body[appendHeadSize:][:rec.Body[appendHeadSize-1]])
	}
	accepted, err := c.h.enqueue(e)
	if !accepted && err == nil {
		c.awaitsRoom(rec.Call, e)
		return
	}
	if err != nil {
		r.runSoon()
		r.open() // the answer may have to wait for room
		r.dst = c.accepted(rec.Call, err, r.dst)
		return
	}
	if r.owes++; r.owes >= mostOwed {
		r.open()
	}
	r.dst = c.accepted(rec.Call, nil, r.dst)
	if r.seq != 0 {
		r.runQueued()
	}
}

// mostOwed is how many appends a goroutine accepts before it runs what is queued, if they come one upon the other.
const mostOwed = 32

// runQueued runs what is queued, if this goroutine has accepted some of it and not looked since.
func (r *reader) runQueued() {
	if r.owes == 0 {
		return
	}
	r.owes = 0
	if r.seq == 0 {
		r.open()
	}
	r.c.h.queue.drainHere()
}

// runSoon is runQueued on another goroutine.
func (r *reader) runSoon() {
	if r.owes > 0 {
		r.owes = 0
		go r.c.h.queue.drain()
	}
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
	a := ring.Result{Kind: kindAnswer, Call: call, Body: mem}
	if !c.putNow(a) {
		c.answerSoon(a)
	}
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
