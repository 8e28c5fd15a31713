package manager

import (
	"context"
	"encoding/binary"

	"github.com/xenonmp/xme/internal/latch"
	"github.com/xenonmp/xme/internal/wire"
)

// Future is the result of a call that is under way. Any goroutine may wait for it, any number of
// times.
type Future[Out any] struct {
	over latch.Latch
	out  Out
	err  error

	queued *queuedFuture[Out] // of a call that was queued
}

// Go calls the method without waiting for its result. If need be, it waits for room to send the
// call, until ctx ends. The calls that one goroutine makes on an object run in the order in which
// it makes them. ctx bounds the call: when it ends, so does the method's context. A process may
// have at most 65535 calls under way on one manager.
func (m *MethodFunc[T, In, Out]) Go(ctx context.Context, o *Object[T], in In) *Future[Out] {
	f := &Future[Out]{}
	if err := m.begin(ctx, o, in, f); err != nil {
		f.err = err
		f.over.Happen()
	}
	return f
}

func (m *MethodFunc[T, In, Out]) begin(ctx context.Context, o *Object[T], in In, f *Future[Out]) error {
	h, r, err := o.where(m.name)
	if err != nil {
		return err
	}
	p := m.in.Plan.NewParcel()
	body, err := wire.Append(m.in, binary.LittleEndian.AppendUint16(nil, m.number()), &in, p)
	if err != nil {
		p.Free()
		return m.uncrossed(err)
	}
	end := func(err error) {
		p.Free()
		f.err = err
		f.over.Happen()
	}
	if h != nil {
		holdOn(p) // it may run when this task has ended
		l, err := h.start(ctx, o.ref.short(), &m.method, body[methodSize:], p)
		if err != nil {
			p.Free()
			return err
		}
		go func() {
			end(l.wait(ctx, func(body []byte, p *wire.Parcel) error { return wire.Decode(m.out, body, &f.out, p) }))
		}()
		return nil
	}
	c, err := r.conn()
	if err != nil {
		p.Free()
		return err
	}
	w, leads, err := c.begin(ctx, kindCall, o.ref.short(), body, p)
	if err != nil {
		c.unuse()
		p.Free()
		return err
	}
	go func() {
		defer c.unuse()
		end(c.await(ctx, w, leads, m.out.Plan.Exact(), func(kind uint8, body []byte, p *wire.Parcel) error { return m.result(kind, body, p, &f.out) }))
	}()
	return nil
}

// queuedCall is a future of a call that is queued, in one piece.
type queuedCall[Out any] struct {
	Future[Out]
	q queuedFuture[Out]
}

// newQueued makes the future of a call of a manager's queue. exact says that decode runs no code of users, and needs no parcel.
func newQueued[Out any](of id, exact bool, decode func(src []byte, out *Out, p *wire.Parcel) error) *Future[Out] {
	c := &queuedCall[Out]{q: queuedFuture[Out]{decode: decode, of: of, exact: exact}}
	c.queued = &c.q
	return &c.Future
}

// Wait waits until the call is over or ctx ends, which ends only the wait.
//
// Within a call that itself runs from the queue, Wait does not wait for a queued call: the error
// wraps ErrDeadlock.
func (f *Future[Out]) Wait(ctx context.Context) (out Out, err error) {
	if !f.over.Has() {
		if f.queued != nil && queueOf(ctx) == f.queued.of {
			return out, errorf("%w: %w", errOwnQueue, ErrDeadlock)
		}
		done := f.over.Done()
		if f.queued != nil && f.queued.conn != nil {
			f.queued.conn.fetch(ctx, done)
		}
		select {
		case <-done:
		case <-ctx.Done():
			return out, context.Cause(ctx)
		}
	}
	if f.queued != nil {
		f.read()
	}
	return f.out, f.err
}

// Done returns a channel that is closed once the call is over.
func (f *Future[Out]) Done() <-chan struct{} {
	if f.queued != nil && f.queued.conn != nil {
		f.queued.conn.pump()
	}
	return f.over.Done()
}
