package manager

import (
	"context"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// reader is a goroutine that reads a connection.
type reader struct {
	c   *hostConn
	seq uint64 // the connection's reads, while another may read on; 0: none may
	buf []byte // of a request
	dst []byte // of its answer

	owes int // appends that it has accepted since it ran what is queued

	outcome outcome // of the method that it runs

	current atomic.Pointer[callContext] // of the method that it runs, unless another reads meanwhile
}

// mostUsers bounds what is under way for a connection: the calls that a process may have, and as many of which it has not read the answer.
const mostUsers = 2 << placeBits

// crowded ends the connection if more is under way than an honest process asks for.
func (c *hostConn) crowded() bool {
	c.mu.Lock()
	crowded := c.users > mostUsers
	c.mu.Unlock()
	if crowded {
		c.bye()
	}
	return crowded
}

// serve has a goroutine read until the connection is over or another reads.
func (c *hostConn) serve() {
	if !c.crowded() && c.use() {
		r := &reader{c: c}
		c.reader.Store(r)
		go r.run()
	}
}

func (r *reader) run() {
	c := r.c
	defer c.unuse()
	alive := false
	defer func() {
		if !alive && r.close() { // a method has ended this goroutine
			c.serve()
		}
	}()
	defer r.runSoon() // who ends opens nothing: another may read
	for !c.over.Load() {
		rec, ok, err := c.end.Next()
		if err != nil {
			c.bye()
			break
		}
		if !ok && r.owes > 0 {
			r.runQueued()
			if !r.close() {
				break
			}
			continue
		}
		if !ok {
			if !spin(c.ready) {
				_ = c.end.Sleep(context.Background(), c.ready)
			}
			continue
		}
		rec.Body, ok, err = r.whole(rec)
		c.end.Release()
		if err != nil {
			c.bye()
			break
		}
		if !ok {
			continue
		}
		r.handle(rec)
		if !r.close() {
			break // it took long, and another reads
		}
	}
	alive = true
}

// open lets another goroutine read on if what this one does takes long.
func (r *reader) open() {
	r.seq = r.c.reads.Add(1)
	r.c.arm(r.seq)
}

// close ends that; false: another reads.
func (r *reader) close() bool {
	seq := r.seq
	r.seq = 0
	return seq == 0 || r.c.reads.CompareAndSwap(seq, seq+1)
}

// arm has late look at what was begun at seq.
func (c *hostConn) arm(seq uint64) {
	if !c.armed.Load() && c.armed.CompareAndSwap(false, true) {
		c.at = seq
		c.timer.Reset(slow)
	}
}

func (c *hostConn) ready() bool { return c.end.Ready() || c.over.Load() }

// late is called a while after a request was begun: if it is not over, another goroutine reads on.
func (c *hostConn) late() {
	seq := c.reads.Load()
	if seq%2 != 0 && seq != c.at && !c.over.Load() {
		c.at = seq
		c.timer.Reset(slow)
		return
	}
	r := c.reader.Load()
	won := seq%2 != 0 && !c.over.Load() && c.reads.CompareAndSwap(seq, seq+1)
	c.armed.Store(false)
	if won {
		r.release()
		c.serve()
		return
	}
	// Who reads may have begun another request meanwhile, and seen the timer run.
	if seq = c.reads.Load(); seq%2 != 0 && !c.over.Load() {
		c.arm(seq)
	}
}

// runs notes the context of a method that r is about to run, so that it can be cancelled. No other reads yet: whoever will, and reads that it is cancelled, finds it.
func (r *reader) runs(t *callContext) {
	r.current.Store(t)
	if r.c.over.Load() {
		t.cancel(context.Canceled)
	}
}

// release has who reads now find the context of the method that r runs.
func (r *reader) release() {
	r.c.mu.Lock() // ran and close see it here or there
	defer r.c.mu.Unlock()
	if t := r.current.Swap(nil); t != nil {
		r.c.calls[t.call] = t
	}
}

// ran ends that.
func (r *reader) ran(t *callContext) {
	if !r.current.CompareAndSwap(t, nil) {
		r.c.ended(t.call)
	}
	t.cancel(context.Canceled)
}

// whole copies a record's body out of the shared memory, and returns the message once all of it is there.
func (r *reader) whole(rec ring.Result) ([]byte, bool, error) {
	body, whole, err := r.c.parts.add(rec)
	if err != nil || !whole {
		return nil, false, err
	}
	if rec.Kind&moreBit == 0 && len(body) == len(rec.Body) { // it lies in shared memory still
		r.buf = append(r.buf[:0], body...)
		body = r.buf
	}
	return body, true, nil
}

// parcelFor waits for what comes by post for a request.
func (c *hostConn) parcelFor(call uint32) (p *wire.Parcel) {
	_ = c.end.Sleep(c.ctx, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		p = c.parcels[call]
		delete(c.parcels, call)
		return p != nil || c.over.Load()
	})
	return p
}
