package manager

import (
	"context"
	"encoding/binary"
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
	region *region.Region
	end    *ring.End

	over    atomic.Bool
	leaving atomic.Bool     // bye is being said: no answer waits for room
	ctx     context.Context //nolint:containedctx // the connection's own
	cancel  context.CancelFunc

	writing sync.Mutex

	// reads is odd while who reads deals with a request whose place among others is certain: before that nobody else may read on. Whoever makes it even
	// decides who does: that goroutine, or, when it takes long, late.
	reads  atomic.Uint64
	timer  *time.Timer
	armed  atomic.Bool // who set it has the timer run, and may write at
	at     uint64      // reads, when the timer was set
	reader atomic.Pointer[reader]
	parts  parts // who reads has them

	known   Operator      // who has proved to be who he is; who reads has it
	knownAs []byte        // as it is in a message
	done    finishedCalls // that this process has appended

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
		h.accept(m)
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
func (h *host) accept(m post.Message) {
	c, err := h.connection(m)
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

func (h *host) connection(m post.Message) (*hostConn, error) {
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
	c := &hostConn{h: h, peer: m.From, region: r, users: 1, parcels: map[uint32]*wire.Parcel{}, calls: map[uint32]*callContext{}}
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
		go c.h.queue.connGone(c) // which may run what is queued
		c.users--                // the one that it began with
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
	c.done.close()
}

// gone reports whether the connection is over.
func (c *hostConn) gone() bool { return c.over.Load() }

// byeTime bounds how long a bye waits for a process that reads nothing. Of a manager that closes it hears later, when the address goes; one that broke the protocol hears nothing then.
var byeTime = 100 * time.Millisecond

// bye tells the process that the manager is closed, or that it has broken the protocol, before what it waits for is cancelled, and ends the connection.
func (c *hostConn) bye() {
	if !c.use() {
		return
	}
	defer c.unuse()
	c.leaving.Store(true)
	c.end.Wake() // who waits for room to write gives up
	c.writing.Lock()
	r := ring.Result{Kind: kindBye}
	if !c.end.Put(r) {
		ctx, cancel := context.WithTimeout(context.Background(), byeTime)
		_ = c.end.Sleep(ctx, c.end.HasRoom)
		cancel()
		_ = c.end.Put(r)
	}
	c.writing.Unlock()
	c.close()
}

// handle does what a message asks. Its body is this goroutine's until it returns.
func (r *reader) handle(rec ring.Result) {
	c := r.c
	kind, number := rec.Kind&kindBits, uint32(rec.Time)
	if kind != kindAppend && kind != kindCollect || rec.Kind&parcelBit != 0 {
		r.runSoon() // what is asked now may take long, or to come
	}
	var p *wire.Parcel
	if rec.Kind&parcelBit != 0 {
		if p = c.parcelFor(rec.Call); p == nil {
			return
		}
		if kind != kindCancel {
			if err := p.Unpack(); err != nil { // else each call would hold descriptors of its own until it runs
				c.failed(rec.Call, errorf("what came with the call: %w", err))
				return
			}
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
	case kindAsk:
		r.ask(rec, p)
	case kindCollect:
		p.Close()
		c.collect(rec.Call)
	case kindAppend:
		r.accept(rec, number, p)
	default:
		p.Close()
		c.bye()
	}
}

// request does an op.
func (r *reader) request(rec ring.Result, number uint32, p *wire.Parcel) {
	c := r.c
	if int(number) >= len(rawOps) {
		p.Close()
		c.bye()
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
			c.failed(call, errorf("%s: its goroutine has ended, by runtime.Goexit", o.name))
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

var answerErrors = lazyCodec[answerError]()

// failed answers with an error.
func (c *hostConn) failed(call uint32, err error) {
	body, cerr := wire.Append(answerErrors(), nil, answerErrorOf(err), nil)
	if cerr != nil {
		body = nil
	}
	c.answer(kindFailed, call, body, nil)
}

// answer sends an answer; what it brings along goes by post.
func (c *hostConn) answer(kind uint8, call uint32, body []byte, p *wire.Parcel) {
	r := ring.Result{Kind: kind, Call: call, Body: body}
	if len(body) > mostMessage {
		c.failed(call, errorf("an answer of %d bytes is over %d: ask for parts, or share memory", len(body), mostMessage))
		return
	}
	if !p.Empty() {
		err := pack(p)
		if err == nil {
			r.Kind |= parcelBit
			parcel := &wire.Parcel{Items: p.Items}
			p.Items = nil
			err = post.Send(post.Message{To: c.peer, From: c.h.at, Body: binary.LittleEndian.AppendUint32([]byte{postParcel}, call), Parcel: parcel})
		}
		if err != nil {
			c.failed(call, errorf("hand over what the answer holds: %w", err))
			return
		}
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = put(c.end, r, func() error { // its error is the connection's end
		ends := func() bool { return c.over.Load() || c.leaving.Load() }
		_ = c.end.Sleep(context.Background(), func() bool { return c.end.HasRoom() || ends() })
		if ends() {
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
