package manager

import (
	"context"
	"encoding/binary"
	"os"
	"sync"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/latch"
	"github.com/xenonmp/xme/internal/park"
	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// conn is a process's end of its connection to a manager elsewhere. It has no goroutine: of those who wait for answers one at a time leads, that is
// reads what comes, for all.
type conn struct {
	to, me post.Addr
	region *region.Region
	end    *ring.End
	bye    func(*conn) // is told that the manager is closed

	failed atomic.Bool // err is set
	lost   atomic.Bool // nothing comes any more but what is there

	writing latch.Turn // one message at a time is put that does not go in one record

	mu      sync.Mutex
	err     error  // why it is over
	stop    func() // listening
	users   int    // goroutines that may touch the memory
	freed   bool
	waiters []*waiter
	free    []uint32
	leading bool
	putting bool                    // one waits for room to put, and reads if nobody leads
	parts   parts                   // the leader's
	parcels map[uint32]*wire.Parcel // that came for calls

	life context.Context //nolint:containedctx // the connection's own
	over context.CancelFunc

	queued appended // that are in the manager's queue
}

// waiter is who waits for an answer. Its number is its place in waiters, and above it how often that place was used.
type waiter struct {
	call  uint32
	turn  chan struct{}   // a token: it is done, or it is to lead
	left  bool            // nobody waits any more
	keep  bool            // when its context ends, or until is closed, it is waited for by another goroutine
	until <-chan struct{} // nil: nothing else ends it
	adds  bool            // it is an append's: its answer may tell of other calls
	async bool            // it is being sent: it cannot lead

	done   bool
	kind   uint8
	body   []byte // its own
	parcel *wire.Parcel
	err    error
}

const (
	placeBits = 16
	placeMask = 1<<placeBits - 1
)

// connect begins to talk to a manager. That it is there turns out with the first answer. Once it says that it is closed bye is called.
func connect(to id, bye func(*conn)) (*conn, error) {
	r, err := region.New(ring.DuplexSize(areaBytes), 0, true)
	if err != nil {
		return nil, errorf("connect: %w", err)
	}
	c := &conn{to: post.Addr(to), me: post.Addr(newID()), region: r, bye: bye, writing: latch.NewTurn(), parcels: map[uint32]*wire.Parcel{}}
	c.life, c.over = context.WithCancel(context.Background())
	c.queued.more = c.pump
	c.queued.role = make(chan struct{}, 1)
	mem, err := r.Bytes(true)
	if err != nil {
		r.Release()
		return nil, errorf("connect: %w", err)
	}
	c.end = ring.NewEnd(mem[:ring.DuplexSize(areaBytes)], false, park.Waits{})
	c.users = 1 // this one
	defer c.unuse()
	c.listen()
	file, err := r.Descriptor()
	if err == nil {
		p := &wire.Parcel{Items: []wire.Item{{ID: r.ID(), File: file}}}
		err = post.Send(post.Message{To: c.to, From: c.me, Body: binary.LittleEndian.AppendUint32([]byte{postConnect}, uint32(os.Getpid())), Parcel: p})
	}
	if err != nil {
		c.fail(errorf("%w: %w", ErrLost, err))
		return nil, c.err
	}
	return c, nil
}

// listen has the post be taken. The manager may be gone at once.
func (c *conn) listen() {
	stop := post.Listen(c.me, c)
	c.mu.Lock()
	c.stop = stop
	over := c.err != nil
	c.mu.Unlock()
	if over { // who ended it had nothing to stop
		stop()
	}
}

// What messages by post begin with.
const (
	postConnect = iota // a connection's memory, and who wants it
	postParcel         // what a message in the duplex brings along; its number
	postKeep           // a snapshot is to be taken; the number of who asked for it
)

// Deliver implements post.Listener.
func (c *conn) Deliver(m post.Message) {
	if len(m.Body) != 5 || m.Body[0] != postParcel {
		m.Parcel.Close()
		return
	}
	if c.use() != nil {
		m.Parcel.Close()
		return
	}
	defer c.unuse()
	c.mu.Lock()
	call := binary.LittleEndian.Uint32(m.Body[1:])
	if c.err != nil || c.parcels[call] != nil {
		m.Parcel.Close()
	} else {
		c.parcels[call] = m.Parcel
	}
	c.mu.Unlock()
	c.end.Wake()
}

// use keeps the memory until unuse.
func (c *conn) use() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.users++
	}
	return c.err
}

func (c *conn) unuse() {
	c.mu.Lock()
	c.users--
	free := c.users == 0 && c.err != nil && !c.freed
	c.freed = c.freed || free
	c.mu.Unlock()
	if free {
		c.region.Release()
	}
}

// Gone implements post.Listener.
func (c *conn) Gone(a post.Addr) {
	if a == c.to && !c.lost.Swap(true) {
		go c.readLast() // post must not be blocked
	}
}

// readLast has what came before the manager went be read, and then the connection fail.
func (c *conn) readLast() {
	if c.use() != nil {
		return
	}
	defer c.unuse()
	c.end.Wake() // who leads
	c.mu.Lock()
	lead := !c.leading
	c.leading = true
	c.mu.Unlock()
	if lead {
		_, _ = c.read(context.Background(), nil, nil)
		c.handOver()
	}
}

// fail ends the connection: all who wait get err.
func (c *conn) fail(err error) {
	if c.use() != nil {
		return
	}
	defer c.unuse()
	c.mu.Lock()
	first, stop := c.err == nil, c.stop
	if first {
		c.err = err
		c.failed.Store(true)
		for _, p := range c.parcels {
			p.Close()
		}
		c.parcels = nil
		for _, w := range c.waiters {
			if w != nil && !w.done {
				w.done, w.err = true, err
				w.signal()
			}
		}
	}
	c.mu.Unlock()
	if !first {
		return
	}
	c.end.Wake()
	if stop != nil { // else it begins just now
		stop()
	}
	c.over()
	c.queued.fail(err)
}

func (w *waiter) signal() {
	select {
	case w.turn <- struct{}{}:
	default:
	}
}

// parcelFor takes what came along with an answer; nil: it has not come yet. c.mu is held.
func (c *conn) parcelFor(call uint32) *wire.Parcel {
	p := c.parcels[call]
	delete(c.parcels, call)
	return p
}

var waiterPool = sync.Pool{New: func() any { return &waiter{turn: make(chan struct{}, 1)} }}

// enter makes a waiter. c.mu is held.
func (c *conn) enter() (*waiter, error) {
	if c.err != nil {
		return nil, c.err
	}
	w := waiterPool.Get().(*waiter)
	if n := len(c.free); n > 0 {
		w.call = c.free[n-1]
		c.free = c.free[:n-1]
		c.waiters[w.call&placeMask] = w
		return w, nil
	}
	if len(c.waiters) > placeMask {
		return nil, errorf("more than %d calls under way from one process", placeMask)
	}
	w.call = uint32(len(c.waiters))
	c.waiters = append(c.waiters, w)
	return w, nil
}

// leave gives a waiter's place up. c.mu is held.
func (c *conn) leave(w *waiter) {
	i := w.call & placeMask
	if c.waiters[i] != w {
		return
	}
	c.waiters[i] = nil
	c.free = append(c.free, w.call+1<<placeBits)
}

// recycle gives a waiter back that nobody refers to.
func (w *waiter) recycle() {
	select {
	case <-w.turn:
	default:
	}
	*w = waiter{turn: w.turn, body: w.body[:0]}
	waiterPool.Put(w)
}

// overUntil reports whether nobody needs the answer any more.
func (w *waiter) overUntil() bool {
	select {
	case <-w.until:
		return true
	default:
		return false
	}
}

// enough is what read asks besides; nil: nothing.
func (w *waiter) enough() func() bool {
	if w.until == nil {
		return nil
	}
	return w.overUntil
}

// begin sends a message and returns who waits for its answer, having made him lead if nobody does.
func (c *conn) begin(ctx context.Context, kind uint8, number uint32, body []byte, p *wire.Parcel) (w *waiter, leads bool, err error) {
	return c.beginUntil(ctx, nil, kind, number, body, p)
}

// beginUntil is begin, which also gives up once done is closed.
func (c *conn) beginUntil(ctx context.Context, done <-chan struct{}, kind uint8, number uint32, body []byte, p *wire.Parcel) (w *waiter, leads bool, err error) {
	if !p.Empty() {
		if err := pack(p); err != nil {
			return nil, false, errorf("%w", err)
		}
	}
	r := ring.Result{Kind: kind, Time: uint64(number), Body: body}
	c.mu.Lock()
	if w, err = c.enter(); err != nil {
		c.mu.Unlock()
		return nil, false, err
	}
	r.Call = w.call
	w.adds = kind == kindAppend
	if p.Empty() && c.end.Fits(len(body)) && c.writing.Try() {
		ok := c.end.Put(r)
		c.writing.Give()
		if ok {
			if !c.leading {
				c.leading, leads = true, true
			}
			c.mu.Unlock()
			return w, leads, nil
		}
	}
	w.async = true
	c.mu.Unlock()
	if done != nil {
		var stop func()
		ctx, stop = orDone(ctx, done)
		defer stop()
	}
	if posted, err := c.send(ctx, r, p); err != nil {
		c.abandon(w, cancelUnsent, posted) // part of it may be on its way
		return nil, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w.async = false
	if !c.leading && !w.done {
		c.leading, leads = true, true
	}
	return w, leads, nil
}

// orDone returns a context that ends with ctx, and once done is closed.
func orDone(ctx context.Context, done <-chan struct{}) (either context.Context, stop func()) {
	either, stop = context.WithCancel(ctx)
	go func() {
		select {
		case <-done:
			stop()
		case <-either.Done():
		}
	}()
	return either, stop
}

// pack has what a parcel names go along to another process, which may keep it.
func pack(p *wire.Parcel) error {
	holdOn(p)
	return p.Pack()
}

// send is begin's long way. posted says that the parcel is on its way, whatever else.
func (c *conn) send(ctx context.Context, r ring.Result, p *wire.Parcel) (posted bool, err error) {
	if len(r.Body) > mostMessage {
		return false, errorf("an argument of %d bytes is over %d: send parts, or share memory", len(r.Body), mostMessage)
	}
	if !p.Empty() {
		r.Kind |= parcelBit
		parcel := &wire.Parcel{Items: p.Items}
		p.Items = nil
		err := post.Send(post.Message{To: c.to, From: c.me, Body: binary.LittleEndian.AppendUint32([]byte{postParcel}, r.Call), Parcel: parcel})
		if err != nil {
			return false, errorf("%w", err)
		}
		posted = true
	}
	if err := c.writing.Take(ctx); err != nil {
		return posted, err
	}
	defer c.writing.Give()
	return posted, put(c.end, r, func() error { return c.awaitRoom(ctx) })
}

// awaitRoom waits until the manager has read something. Somebody reads answers meanwhile, so that it can go on: who leads, and if nobody does this
// goroutine. c.writing is held, so only one is here.
func (c *conn) awaitRoom(ctx context.Context) error {
	c.mu.Lock()
	c.putting = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.putting = false
		c.mu.Unlock()
	}()
	unled := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return !c.leading
	}
	for {
		switch {
		case c.end.HasRoom():
			return nil
		case c.failed.Load():
			return c.err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		c.mu.Lock()
		lead := !c.leading
		c.leading = true
		c.mu.Unlock()
		if lead {
			_, _ = c.read(ctx, nil, c.end.HasRoom)
			c.handOver()
			continue
		}
		// Who leads sleeps on the same gate, and reads.
		_ = c.end.Sleep(ctx, func() bool { return c.end.HasRoom() || c.failed.Load() || unled() })
	}
}
