package manager

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/park"
	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// hostConn is a host's end of a connection. One goroutine reads it and does what is asked, until that takes long: then another reads on.
type hostConn struct {
	h      *host
	peer   post.Addr
	pid    int
	region *region.Region
	end    *ring.End

	over   atomic.Bool
	ctx    context.Context //nolint:containedctx // the connection's own
	cancel context.CancelFunc

	writing sync.Mutex

	// reads is odd while who reads deals with a request whose place among others is certain: before that nobody else may read on. Whoever makes it even
	// decides who does: that goroutine, or, when it takes long, late.
	reads  atomic.Uint64
	timer  *time.Timer
	armed  atomic.Bool // who set it has the timer run, and may write at
	at     uint64      // reads, when the timer was set
	reader atomic.Pointer[reader]
	parts  parts // who reads has them

	mu      sync.Mutex
	closed  bool
	parcels map[uint32]*wire.Parcel
	calls   map[uint32]*callContext // under way, that can be cancelled
	users   int
}

// slow is from when what is asked does not hold up what comes behind it.
const slow = time.Millisecond

// Deliver implements post.Listener.
func (h *host) Deliver(m post.Message) {
	if len(m.Body) != 5 {
		m.Parcel.Close()
		return
	}
	n := binary.LittleEndian.Uint32(m.Body[1:])
	switch m.Body[0] {
	case postConnect:
		h.accept(m, int(n))
	case postParcel:
		h.mu.Lock()
		c := h.conns[m.From]
		h.mu.Unlock()
		if c == nil || !c.took(n, m.Parcel) {
			m.Parcel.Close()
		}
	default:
		m.Parcel.Close()
	}
}

// Gone implements post.Listener.
func (h *host) Gone(a post.Addr) {
	h.mu.Lock()
	c := h.conns[a]
	delete(h.conns, a)
	h.mu.Unlock()
	if c != nil {
		c.close()
	}
}

// accept begins to serve a process.
func (h *host) accept(m post.Message, pid int) {
	c, err := h.connection(m, pid)
	if err != nil {
		m.Parcel.Close()
		return
	}
	h.mu.Lock()
	full := h.closed || h.conns[m.From] != nil
	if !full {
		h.conns[m.From] = c
	}
	h.mu.Unlock()
	if full {
		c.close()
		return
	}
	c.serve()
}

func (h *host) connection(m post.Message, pid int) (*hostConn, error) {
	if m.Parcel == nil || len(m.Parcel.Items) != 1 {
		return nil, errRubbish
	}
	it := &m.Parcel.Items[0]
	if region.ID(it.ID).Size() < ring.DuplexSize(areaBytes) {
		return nil, errRubbish
	}
	file := it.File
	it.File = nil
	r, err := region.Adopt(it.ID, file)
	if err != nil {
		return nil, err
	}
	mem, err := r.Bytes(true)
	if err != nil {
		r.Release()
		return nil, err
	}
	c := &hostConn{h: h, peer: m.From, pid: pid, region: r, users: 1, parcels: map[uint32]*wire.Parcel{}, calls: map[uint32]*callContext{}}
	c.end = ring.NewEnd(mem[:ring.DuplexSize(areaBytes)], true, park.Waits{})
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.timer = time.AfterFunc(time.Hour, c.late)
	c.timer.Stop()
	return c, nil
}

// took keeps what a request brings along until it is read.
func (c *hostConn) took(call uint32, p *wire.Parcel) bool {
	if !c.use() {
		return false
	}
	defer c.unuse()
	c.mu.Lock()
	ok := c.parcels[call] == nil && len(c.parcels) < placeMask
	if ok {
		c.parcels[call] = p
	}
	c.mu.Unlock()
	c.end.Wake()
	return ok
}

// use keeps the memory until unuse; false: it is gone.
func (c *hostConn) use() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users == 0 {
		return false
	}
	c.users++
	return true
}

func (c *hostConn) unuse() {
	c.mu.Lock()
	c.users--
	last := c.users == 0
	var parcels map[uint32]*wire.Parcel
	if last {
		parcels, c.parcels = c.parcels, nil
	}
	c.mu.Unlock()
	if last {
		for _, p := range parcels {
			p.Close()
		}
		c.region.Release()
	}
}

// close ends the connection. What runs for it has its context ended.
func (c *hostConn) close() {
	if !c.use() {
		return
	}
	defer c.unuse()
	c.over.Store(true)
	c.cancel()
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		c.users-- // the one that it began with
	}
	for _, t := range c.calls {
		t.cancel(context.Canceled)
	}
	if r := c.reader.Load(); r != nil { // under the lock: release moves it to calls
		if t := r.current.Load(); t != nil {
			t.cancel(context.Canceled)
		}
	}
	c.mu.Unlock()
	c.end.Wake()
}

// bye tells the process that the manager is closed.
func (c *hostConn) bye() {
	if !c.use() {
		return
	}
	defer c.unuse()
	if c.writing.TryLock() {
		_ = c.end.Put(ring.Result{Kind: kindBye}) // without it the process hears that the address is gone
		c.writing.Unlock()
	}
}

// refuse ends the connection of a process that breaks the protocol, and tells it, so that none of its callers waits for ever.
func (c *hostConn) refuse() {
	c.bye()
	c.close()
}

// reader is a goroutine that reads a connection.
type reader struct {
	c   *hostConn
	seq uint64 // the connection's reads, while another may read on; 0: none may
	buf []byte // of a request
	dst []byte // of its answer

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
		c.refuse()
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
	for !c.over.Load() {
		rec, ok, err := c.end.Next()
		if err != nil {
			c.refuse()
			break
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
			c.refuse()
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

// runs notes the context of a method that r runs, so that it can be cancelled.
func (r *reader) runs(t *callContext) {
	r.current.Store(t)
	if r.c.reads.Load() != r.seq { // another reads: it may have looked before
		r.release()
	}
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

// handle does what a message asks. Its body is this goroutine's until it returns.
func (r *reader) handle(rec ring.Result) {
	c := r.c
	kind, number := rec.Kind&kindBits, uint32(rec.Time)
	var p *wire.Parcel
	if rec.Kind&parcelBit != 0 {
		if p = c.parcelFor(rec.Call); p == nil {
			return
		}
	}
	switch kind {
	case kindCancel:
		p.Close()
		c.cancelled(rec.Call, number)
	case kindRequest:
		r.request(rec, number, p)
	case kindCall, kindBatch:
		r.method(rec, number, p)
	default:
		p.Close()
		c.refuse()
	}
}

// request does an op.
func (r *reader) request(rec ring.Result, number uint32, p *wire.Parcel) {
	c := r.c
	if int(number) >= len(rawOps) {
		p.Close()
		c.refuse()
		return
	}
	o := &rawOps[number]
	if !o.waits {
		r.open()
		c.serveOp(c.ctx, o, rec.Call, rec.Body, p)
		return
	}
	ctx := c.begin(rec.Call, nil)
	body := append([]byte(nil), rec.Body...)
	if c.crowded() || !c.use() {
		c.ended(rec.Call)
		p.Close()
		return
	}
	go func() {
		defer c.unuse()
		defer c.ended(rec.Call)
		c.serveOp(ctx, o, rec.Call, body, p)
	}()
}

func (c *hostConn) serveOp(ctx context.Context, o *rawOp, call uint32, body []byte, p *wire.Parcel) {
	defer p.Close()
	if p == nil {
		p = &wire.Parcel{}
	}
	returned := false
	defer func() {
		if !returned { // what a user's function did
			c.failed(call, fmt.Errorf("manager: %s: its goroutine has ended, by runtime.Goexit", o.name))
		}
	}()
	answer, out, err := o.serve(ctx, c.h, &caller{conn: c}, body, p, nil)
	returned = true
	if err != nil {
		c.failed(call, err)
		return
	}
	c.answer(kindAnswer, call, answer, out)
	out.Free()
}

var answerErrors = mustCodec[answerError]()

// failed answers with an error.
func (c *hostConn) failed(call uint32, err error) {
	body, cerr := answerErrors.Append(nil, answerErrorOf(err), nil)
	if cerr != nil {
		body = nil
	}
	c.answer(kindFailed, call, body, nil)
}

// answer sends an answer; what it brings along goes by post.
func (c *hostConn) answer(kind uint8, call uint32, body []byte, p *wire.Parcel) {
	r := ring.Result{Kind: kind, Call: call, Body: body}
	if len(body) > mostMessage {
		c.failed(call, fmt.Errorf("manager: an answer of %d bytes is over %d: ask for parts, or share memory", len(body), mostMessage))
		return
	}
	if !p.Empty() {
		err := p.Pack()
		if err == nil {
			r.Kind |= parcelBit
			parcel := &wire.Parcel{Items: p.Items}
			p.Items = nil
			err = post.Send(post.Message{To: c.peer, From: c.h.at, Body: binary.LittleEndian.AppendUint32([]byte{postParcel}, call), Parcel: parcel})
		}
		if err != nil {
			c.failed(call, fmt.Errorf("manager: hand over what the answer holds: %w", err))
			return
		}
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = put(c.end, r, func() error { // its error is the connection's end
		c.end.WantRoom()
		_ = c.end.Sleep(context.Background(), func() bool { return c.end.HasRoom() || c.over.Load() })
		if c.over.Load() {
			return ErrClosed
		}
		return nil
	})
}

// cancelled ends the context of a call that nobody waits for.
func (c *hostConn) cancelled(call, how uint32) {
	c.mu.Lock()
	t := c.calls[call]
	c.mu.Unlock()
	delete(c.parts, call)
	if t != nil {
		t.cancel(context.Canceled)
	}
	if how == cancelUnsent {
		c.failed(call, context.Canceled)
	}
}

// begin makes the context of a call that is not dealt with at once.
func (c *hostConn) begin(call uint32, o *object) *callContext {
	t := &callContext{call: call, object: o}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[call] = t
	if c.over.Load() {
		t.cancel(context.Canceled)
	}
	return t
}

func (c *hostConn) ended(call uint32) {
	c.mu.Lock()
	t := c.calls[call]
	delete(c.calls, call)
	c.mu.Unlock()
	if t != nil {
		t.cancel(context.Canceled)
	}
}

// errorBody encodes what a method has failed with.
func errorBody(err *xme.Error) []byte {
	body, merr := err.MarshalBinary()
	if merr != nil {
		body, _ = (&xme.Error{Func: err.Func, Row: -1, Cause: err.Cause, Message: err.Message}).MarshalBinary()
	}
	return body
}
