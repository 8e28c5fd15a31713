package manager

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/xenonmp/xme/internal/wire"
)

// appended are the calls that this process has appended by a connection, and that have not ended.
type appended struct {
	mu      sync.Mutex
	err     error // the connection's end
	calls   map[uint64]awaitedCall
	last    uint64
	pumping bool // a goroutine fetches what has ended

	more func()        // has something be fetched
	role chan struct{} // holds a token while somebody fetches
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
		if id == 0 {
			a.more()
		} else if call := a.take(id); call != nil { // otherwise its append was given up
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

// pump has a goroutine fetch what has ended, until nothing is awaited.
func (c *conn) pump() {
	a := &c.queued
	a.mu.Lock()
	start := !a.pumping && len(a.calls) > 0 && a.err == nil
	a.pumping = a.pumping || start
	a.mu.Unlock()
	if !start {
		return
	}
	go func() {
		for {
			a.mu.Lock()
			over := len(a.calls) == 0 || a.err != nil
			a.pumping = !over
			a.mu.Unlock()
			if over {
				return
			}
			a.role <- struct{}{}
			c.collect(context.Background(), nil)
		}
	}()
}

// fetch waits until done is closed, and fetches what has ended as long as nobody else does. ctx ends the wait, and the connection's end.
func (c *conn) fetch(ctx context.Context, done <-chan struct{}) {
	for !c.failed.Load() {
		select {
		case <-done:
			return
		default:
		}
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case c.queued.role <- struct{}{}:
		}
		select {
		case <-done: // while this one got the role
			<-c.queued.role
			return
		default:
			c.collect(ctx, done)
		}
	}
}

// askAgain is how long a process waits that has as many calls under way as it can have, before it tries again to fetch what has ended.
const askAgain = 10 * time.Millisecond

// collect fetches some calls that have ended. The caller has the role; it is free again when it is done, which is later if ctx ends before: then another goroutine waits on.
// So it is if done is closed before: a call's end can come on the answer to another goroutine's append, of which who collects hears nothing else.
func (c *conn) collect(ctx context.Context, done <-chan struct{}) {
	if c.use() != nil {
		<-c.queued.role
		return // it has failed, and so have they
	}
	over := func(err error) {
		if err != nil {
			c.fail(errorf("%w: %w", ErrLost, err))
		}
		<-c.queued.role
		c.unuse()
	}
	w, leads, err := c.beginUntil(ctx, done, kindCollect, 0, nil, nil)
	if err != nil {
		if !c.failed.Load() { // ctx has ended, or as many calls as there can be are under way: who waits asks again
			select {
			case <-ctx.Done():
			case <-done:
			case <-time.After(askAgain):
			}
			err = nil
		}
		over(err)
		return
	}
	w.keep, w.until = true, done
	if err := c.await(ctx, w, leads, false, c.came); err != errKept { //nolint:errorlint // await's own
		over(err)
		return
	}
	w.until = nil
	go func() { over(c.await(context.Background(), w, false, false, c.came)) }()
}

// settle ends the calls of which the answer to an append tells, and wakes who waits for the end of one of them.
func (c *conn) settle(body []byte) error {
	err := c.queued.settle(body)
	if len(body) > 0 && len(c.queued.role) > 0 {
		c.end.Wake()
	}
	return err
}

// came ends the calls of which the answer to a collect tells.
func (c *conn) came(kind uint8, body []byte, p *wire.Parcel) error {
	switch {
	case kind != kindAnswer:
		return failure(kind, body)
	case len(body) == 0:
		return errRubbish
	case body[0] == collectPlain:
		return c.queued.settle(body[1:])
	}
	if p == nil {
		p = &wire.Parcel{}
	}
	var one collected
	if err := wire.Decode(collectedCodec(), body[1:], &one, p); err != nil {
		return err
	}
	if call := c.queued.take(one.ID); call != nil && one.Value != nil {
		call.cameWith(one.Value)
	} else {
		one.Value.release()
	}
	return nil
}

// queuedFuture is what a Future has of a call that was queued.
type queuedFuture[Out any] struct {
	decode func(src []byte, out *Out, p *wire.Parcel) error
	conn   *conn // by which it was appended; nil: in this process
	of     id    // its manager

	once  sync.Once // decodes it
	exact bool      // it is decoded as it comes
	kind  uint8
	body  []byte
	value *stored
	err   error
}

// came implements awaitedCall.
func (f *Future[Out]) came(kind uint8, body []byte) {
	q := f.queued
	if kind == kindAnswer && q.exact {
		q.once.Do(func() { f.err = q.decode(body, &f.out, nil) })
	} else {
		q.kind, q.body = kind, slices.Clone(body)
	}
	f.over.Happen()
}

// cameWith implements awaitedCall.
func (f *Future[Out]) cameWith(s *stored) {
	f.queued.kind, f.queued.value = kindAnswer, s
	s.forget()
	f.over.Happen()
}

// failed implements awaitedCall.
func (f *Future[Out]) failed(err error) {
	f.queued.err = err
	f.over.Happen()
}

// finished implements sink, for calls of this process's own.
func (f *Future[Out]) finished(_ uint64, o outcomeOf) {
	if o.err != nil {
		f.failed(o.err)
		return
	}
	f.cameWith(o.value)
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
