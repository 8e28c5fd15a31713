package manager

import (
	"context"
	"errors"

	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// handOver has another lead, if there is one who waits.
func (c *conn) handOver() {
	c.mu.Lock()
	c.handOverLocked()
	c.mu.Unlock()
}

func (c *conn) handOverLocked() {
	c.leading = false
	for _, w := range c.waiters {
		if w != nil && !w.done && !w.left && !w.async {
			w.signal()
			return
		}
	}
	if c.putting {
		c.end.Wake()
	}
	if c.lost.Load() && c.err == nil { // readLast may have found that this one leads
		go c.readLast()
	}
}

// read reads answers until that of own is there, enough says so, the connection fails, or ctx ends. The caller leads. own's answer is valid until
// c.end.Release if it is not w's copy.
func (c *conn) read(ctx context.Context, own *waiter, enough func() bool) (body []byte, whole bool) {
	ready := func() bool { return c.end.Ready() || c.failed.Load() || c.lost.Load() || enough != nil && enough() }
	for {
		lost := c.lost.Load() // before the look: what came before is found
		r, ok, err := c.end.Next()
		switch {
		case err != nil:
			c.fail(errorf("%w: %w", ErrLost, err))
			return nil, false
		case ok:
			if own != nil && r.Call == own.call && r.Kind == kindAnswer && len(c.parts) == 0 {
				own.kind = kindAnswer
				return r.Body, true
			}
			err := c.take(r)
			c.end.Release()
			if err != nil {
				c.fail(err)
				return nil, false
			}
		}
		if !ok && lost {
			c.fail(ErrLost)
		}
		if c.failed.Load() || enough != nil && enough() {
			return nil, false
		}
		if own != nil {
			c.mu.Lock()
			done := own.done
			c.mu.Unlock()
			if done {
				return nil, false
			}
		}
		if !ok && !spin(ready) {
			if ctx.Err() != nil || c.end.Sleep(ctx, ready) != nil {
				return nil, false
			}
		}
	}
}

// take hands a record to whom it is for.
func (c *conn) take(r ring.Result) error {
	if r.Kind&kindBits == kindBye {
		c.bye(c)
		return ErrClosed
	}
	body, whole, err := c.parts.add(r)
	if err != nil || !whole {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := int(r.Call & placeMask)
	if i >= len(c.waiters) || c.waiters[i] == nil || c.waiters[i].call != r.Call {
		return errorf("%w: an answer to no call: %w", ErrLost, errRubbish)
	}
	w := c.waiters[i]
	if w.done {
		return errorf("%w: two answers to one call: %w", ErrLost, errRubbish)
	}
	var p *wire.Parcel
	if r.Kind&parcelBit != 0 {
		c.mu.Unlock()
		p = c.awaitParcel(r.Call)
		c.mu.Lock()
		if c.err != nil { // w has its error already, and may be another's by now
			p.Close()
			return c.err
		}
		if p == nil && !w.left { // nothing comes any more, but answers may lie behind this one
			w.done, w.err = true, ErrLost
			w.signal()
			return nil
		}
	}
	if w.left {
		p.Close()
		adds := w.adds && r.Kind&kindBits == kindAnswer
		c.leave(w)
		if adds {
			return c.settle(body)
		}
		return nil
	}
	w.kind, w.parcel, w.done = r.Kind&kindBits, p, true
	w.body = append(w.body[:0], body...)
	w.signal()
	return nil
}

// awaitParcel waits for what comes by post.
func (c *conn) awaitParcel(call uint32) (p *wire.Parcel) {
	_ = c.end.Sleep(context.Background(), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		p = c.parcelFor(call)
		return p != nil || c.err != nil || c.lost.Load()
	})
	return p
}

// What the number of a cancel says: of cancelUnsent the call may not have been sent wholly, and the manager answers nevertheless.
const (
	cancelSent = iota
	cancelUnsent
)

// abandon gives a call up. posted says that the manager gets a parcel for a call that was not sent wholly: it is to wait for it, for later the number is
// another call's.
func (c *conn) abandon(w *waiter, how uint64, posted bool) {
	c.mu.Lock()
	w.left = true
	if w.done { // just now
		if w.adds && w.kind == kindAnswer && w.err == nil {
			_ = c.settle(w.body) // what is wrong with it, others find
		}
		c.leave(w)
		w.parcel.Close()
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	r := ring.Result{Kind: kindCancel, Call: w.call, Time: how}
	if posted {
		r.Kind |= parcelBit
	}
	if c.writing.Try() {
		ok := c.end.Put(r)
		c.writing.Give()
		if ok {
			return
		}
	}
	if c.use() == nil {
		go func() {
			defer c.unuse()
			_, _ = c.send(context.Background(), r, nil) // it ends with the connection
		}()
	}
}

var errKept = errors.New("waited for elsewhere")

// ask sends a message, whose answer read gets, unless that is an error; it is valid until read returns.
func (c *conn) ask(ctx context.Context, kind uint8, number uint32, body []byte, p *wire.Parcel, read func(body []byte, p *wire.Parcel) error) error {
	w, leads, err := c.begin(ctx, kind, number, body, p)
	if err != nil {
		return err
	}
	return c.await(ctx, w, leads, false, func(kind uint8, body []byte, p *wire.Parcel) error {
		if kind != kindAnswer {
			return failure(kind, body)
		}
		return read(body, p)
	})
}

// await waits for w's answer and hands it to use; leads says that the caller leads. steady: use reads what lies in shared memory once, and runs no
// code but this module's.
func (c *conn) await(ctx context.Context, w *waiter, leads, steady bool, use func(kind uint8, body []byte, p *wire.Parcel) error) error {
	for {
		if leads {
			body, whole := c.read(ctx, w, w.enough())
			if whole {
				var err error
				if steady {
					err = use(kindAnswer, body, nil)
				} else {
					w.body = append(w.body[:0], body...)
				}
				c.end.Release()
				c.mu.Lock()
				c.leave(w)
				c.handOverLocked()
				c.mu.Unlock()
				if !steady {
					err = use(kindAnswer, w.body, nil)
				}
				w.recycle()
				return err
			}
			c.handOver()
		}
		c.mu.Lock()
		if w.done {
			c.leave(w)
			c.mu.Unlock()
			err := w.err
			if err == nil {
				err = use(w.kind, w.body, w.parcel)
				w.parcel.Close()
			}
			w.recycle()
			return err
		}
		if ctx.Err() != nil || w.overUntil() {
			if w.keep {
				if !c.leading {
					c.handOverLocked()
				}
				c.mu.Unlock()
				return errKept
			}
			w.left = true
			if !c.leading {
				c.handOverLocked() // it may have been this one's turn
			}
			c.mu.Unlock()
			c.abandon(w, cancelSent, false)
			return context.Cause(ctx)
		}
		if leads = !c.leading; leads {
			c.leading = true
		}
		c.mu.Unlock()
		if leads {
			continue
		}
		select {
		case <-w.turn:
		case <-w.until:
		case <-ctx.Done():
		}
	}
}
