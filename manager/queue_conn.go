package manager

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/xenonmp/xme/internal/wire"
)

// appended are the calls that this process has appended by a connection, and that have not ended.
type appended struct {
	mu      sync.Mutex
	err     error // the connection's end
	calls   map[uint64]awaitedCall
	last    uint64
	pumping bool // a goroutine fetches what has ended
}

// awaitedCall is a call that was appended. One of its methods is called, once.
type awaitedCall interface {
	// came says how the call has ended. body is valid until it returns.
	came(kind uint8, body []byte)
	// cameWith brings a value that names memory, which it takes over.
	cameWith(*stored)
	// failed says that how it ended cannot be known.
	failed(error)
}

// add gives a call its number.
func (a *appended) add(call awaitedCall) (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return 0, a.err
	}
	if a.calls == nil {
		a.calls = map[uint64]awaitedCall{}
	}
	a.last++
	a.calls[a.last] = call
	return a.last, nil
}

// take removes a call; nil: it is not there.
func (a *appended) take(id uint64) awaitedCall {
	a.mu.Lock()
	defer a.mu.Unlock()
	call := a.calls[id]
	delete(a.calls, id)
	return call
}

// settle ends the calls of which a message tells.
func (a *appended) settle(b []byte) error {
	for len(b) > 0 {
		if len(b) < finishedSize {
			return errRubbish
		}
		id, kind, n := binary.LittleEndian.Uint64(b), b[8], binary.LittleEndian.Uint32(b[9:])
		if b = b[finishedSize:]; uint64(n) > uint64(len(b)) {
			return errRubbish
		}
		if call := a.take(id); call != nil { // otherwise its append was given up
			call.came(kind, b[:n])
		}
		b = b[n:]
	}
	return nil
}

// fail ends all calls.
func (a *appended) fail(err error) {
	a.mu.Lock()
	calls := a.calls
	if a.err == nil {
		a.err = err
	}
	a.calls = nil
	a.mu.Unlock()
	for _, c := range calls {
		c.failed(err)
	}
}

// pump has what has ended be fetched, until nothing is awaited.
func (c *conn) pump() {
	a := &c.queued
	a.mu.Lock()
	start := !a.pumping && len(a.calls) > 0 && a.err == nil
	a.pumping = a.pumping || start
	a.mu.Unlock()
	if !start {
		return
	}
	if c.use() != nil {
		return // it has failed, and so have they
	}
	go func() {
		defer c.unuse()
		for {
			if err := c.collect(); err != nil {
				c.fail(fmt.Errorf("%w: %w", ErrLost, err))
			}
			a.mu.Lock()
			if len(a.calls) == 0 || a.err != nil {
				a.pumping = false
				a.mu.Unlock()
				return
			}
			a.mu.Unlock()
		}
	}()
}

// collect fetches some calls that have ended.
func (c *conn) collect() error {
	body, err := opCollect.in().Append(nil, &struct{}{}, nil)
	if err != nil {
		return err
	}
	w, leads, err := c.begin(context.Background(), kindRequest, uint32(opCollect.code), body, nil)
	if err != nil {
		return err
	}
	return c.await(context.Background(), w, leads, false, func(kind uint8, body []byte, p *wire.Parcel) error {
		if kind != kindAnswer {
			return failure(kind, body)
		}
		if p == nil {
			p = &wire.Parcel{}
		}
		var out collectOut
		if err := opCollect.out().Decode(body, &out, p); err != nil {
			return err
		}
		if out.Value != nil {
			if call := c.queued.take(out.ID); call != nil {
				call.cameWith(out.Value)
			} else {
				out.Value.release()
			}
		}
		return c.queued.settle(out.Plain)
	})
}

// queuedFuture is what a Future has of a call that was queued.
type queuedFuture[Out any] struct {
	decode func(src []byte, out *Out, p *wire.Parcel) error
	conn   *conn // by which it was appended; nil: in this process
	of     id    // its manager

	once  sync.Once // decodes it
	kind  uint8
	body  []byte
	value *stored
	err   error
}

// came implements awaitedCall.
func (f *Future[Out]) came(kind uint8, body []byte) {
	f.queued.kind, f.queued.body = kind, slices.Clone(body)
	close(f.done)
}

// cameWith implements awaitedCall.
func (f *Future[Out]) cameWith(s *stored) {
	f.queued.kind, f.queued.value = kindAnswer, s
	s.forget()
	close(f.done)
}

// failed implements awaitedCall.
func (f *Future[Out]) failed(err error) {
	f.queued.err = err
	close(f.done)
}

// finished implements sink, for calls of this process's own.
func (f *Future[Out]) finished(_ uint64, o outcomeOf) {
	if o.err != nil {
		f.failed(o.err)
		return
	}
	f.cameWith(o.value)
}

// fetch has the call's end be noticed.
func (f *Future[Out]) fetch() {
	if f.queued != nil && f.queued.conn != nil {
		f.queued.conn.pump()
	}
}

// read decodes what has come.
func (f *Future[Out]) read() {
	q := f.queued
	q.once.Do(func() {
		switch {
		case q.err != nil:
			f.err = q.err
		case q.kind != kindAnswer:
			f.err = failure(q.kind, q.body)
		default:
			body := q.body
			if q.value != nil {
				body = q.value.bytes
			}
			p := wire.NewParcel()
			f.err = q.decode(body, &f.out, p)
			p.Free()
		}
		q.body, q.value = nil, nil
	})
}

type queueKey struct{}

// queueOf returns the manager whose queue runs the call that ctx is of.
func queueOf(ctx context.Context) (i id) {
	i, _ = ctx.Value(queueKey{}).(id)
	return i
}

var errOwnQueue = errors.New("a call that runs from the queue waits for one behind it")
