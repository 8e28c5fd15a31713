package manager

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/park"
	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

type parcel = wire.Parcel

// peer is a manager's end of a connection, which the test writes.
type peer struct {
	c    *conn
	end  *ring.End
	gone func() // the process ends
	r    *region.Region
}

// Deliver implements post.Listener.
func (p *peer) Deliver(m post.Message) {
	defer m.Parcel.Close()
	if m.Body[0] == postConnect {
		it := &m.Parcel.Items[0]
		p.r, _ = region.Adopt(it.ID, it.File)
		it.File = nil
	}
}

// Gone implements post.Listener.
func (p *peer) Gone(post.Addr) {}

func newPeer(t testing.TB) *peer {
	t.Helper()
	p := &peer{}
	to := newID()
	p.gone = post.Listen(post.Addr(to), p)
	c, err := connect(to, func(*conn) {})
	if err != nil {
		t.Fatal(err)
	}
	mem, err := p.r.Bytes(true)
	if err != nil {
		t.Fatal(err)
	}
	p.c, p.end = c, ring.NewEnd(mem[:ring.DuplexSize(areaBytes)], true, park.Waits{})
	t.Cleanup(func() {
		p.gone()
		c.fail(ErrClosed)
		p.r.Release()
	})
	return p
}

// until waits for what other goroutines do.
func until(t testing.TB, ready func() bool) {
	t.Helper()
	for !ready() {
		if t.Context().Err() != nil {
			t.Fatal("it does not come to pass")
		}
		runtime.Gosched()
	}
}

// TestSenderDoesNotLead has who waits for room not be chosen to lead in place of one who waits for an answer, and lead when there is nobody else.
func TestSenderDoesNotLead(t *testing.T) {
	p := newPeer(t)
	c := p.c
	c.mu.Lock()
	c.leading = true // somebody's turn
	c.mu.Unlock()
	for c.end.Put(ring.Result{Kind: kindCall, Call: marker, Body: make([]byte, 1000)}) {
	}
	for c.end.Put(ring.Result{Kind: kindCall, Call: marker}) {
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sent := make(chan error, 1)
	go func() {
		_, _, err := c.begin(ctx, kindCall, 1, nil, nil)
		sent <- err
	}()
	until(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.putting
	})
	c.mu.Lock()
	w, err := c.enter()
	c.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	call := w.call // w is not this goroutine's any more
	answered := make(chan error, 1)
	go func() {
		answered <- c.await(t.Context(), w, false, false, func(uint8, []byte, *parcel) error { return nil })
	}()
	c.handOver()
	p.end.Put(ring.Result{Kind: kindAnswer, Call: call})
	if err := <-answered; err != nil {
		t.Error(err)
	}
	// Nobody else waits: the sender reads.
	until(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.leading
	})
	cancel()
	if err := <-sent; err == nil {
		t.Error("sent without room")
	}
}

// TestUnreadAnswers has a process not read its answers: the object serves others.
func TestUnreadAnswers(t *testing.T) {
	m, o := openFuzzed(t)
	c := connected(t, m)
	for call := range uint32(20) {
		c.end.Put(ring.Result{Kind: kindCall, Call: call, Time: o.ref.number, Body: methodCall(fuzzedMake.number(), areaBytes)})
	}
	until(t, c.end.Ready)
	for _, o := range []*Object[fuzzed]{o, elsewhere(t, o)} {
		for range 30 {
			if _, err := fuzzedAdd.Call(t.Context(), o, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestOrder has a call wait for what comes by post: one that was made after it does not overtake it.
func TestOrder(t *testing.T) {
	m, o := openFuzzed(t)
	c := connected(t, m)
	h := m.at.(*host)
	h.mu.Lock()
	hc := h.conns[c.me]
	h.mu.Unlock()
	c.end.Put(ring.Result{Kind: kindCall | parcelBit, Call: 1, Time: o.ref.number, Body: methodCall(fuzzedAdd.number(), 10)})
	c.end.Put(ring.Result{Kind: kindCall, Call: 2, Time: o.ref.number, Body: methodCall(fuzzedAdd.number(), 100)})
	until(t, c.end.HasRoom) // the first has been read
	hc.armed.Store(true)
	hc.late() // it takes long
	r, err := region.New(1, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	file, err := r.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	if !hc.took(1, &wire.Parcel{Items: []wire.Item{{ID: r.ID(), File: file}}}) {
		t.Fatal("the parcel was refused")
	}
	for _, want := range []struct {
		call uint32
		n    int
	}{{1, 10}, {2, 110}} {
		if err := c.end.Sleep(t.Context(), c.end.Ready); err != nil {
			t.Fatal(err)
		}
		a, ok, err := c.end.Next()
		n, derr := 0, error(nil)
		if ok {
			derr = wire.Decode(fuzzedAdd.out, a.Body, &n, nil)
		}
		if !ok || err != nil || derr != nil || a.Call != want.call || n != want.n {
			t.Errorf("call %d is answered %d, want call %d, %d (%v, %v)", a.Call, n, want.call, want.n, err, derr)
		}
		c.end.Release()
	}
}

// TestRefusedAppend has an append be refused behind one that was accepted, and the answer wait: another goroutine reads on, and the one that refused reads no more.
func TestRefusedAppend(t *testing.T) {
	m, o := openFuzzed(t)
	c := connected(t, m)
	h := m.at.(*host)
	h.mu.Lock()
	hc := h.conns[c.me]
	h.mu.Unlock()
	hc.armed.Store(true) // nobody looks but this test
	hc.writing.Lock()
	head := appendHead{method: fuzzedAdd.number(), op: m.op, id: 1}
	c.end.Put(ring.Result{Kind: kindAppend | parcelBit, Call: 1, Time: o.ref.number, Body: head.put(nil)})
	head.id = 2
	c.end.Put(ring.Result{Kind: kindAppend, Call: 2, Time: o.ref.number + 1, Body: head.put(nil)})
	if !hc.took(1, &parcel{}) { // the first is waited for until the second is there
		t.Fatal("the parcel was refused")
	}
	until(t, func() bool { return hc.reads.Load()%2 != 0 }) // the second's answer waits
	first, seq := hc.reader.Load(), hc.reads.Load()
	hc.at = seq
	hc.late()
	hc.writing.Unlock()
	until(t, func() bool { // the first has ended, and the goroutine of the other answer
		hc.mu.Lock()
		defer hc.mu.Unlock()
		return hc.users <= 2
	})
	second := hc.reader.Load()
	if now := hc.reads.Load(); second == first || now != seq+1 {
		t.Errorf("reads is %d, want %d", now, seq+1)
	}
	if first.owes != 0 || first.seq != 0 {
		t.Errorf("owes %d, seq %d", first.owes, first.seq)
	}
}

// TestClosedIsLeft has nothing be kept of the connection to a manager that is closed, but that it is.
func TestClosedIsLeft(t *testing.T) {
	m, _ := openFuzzed(t)
	r := newRemote(m.id)
	c, err := r.conn()
	if err != nil {
		t.Fatal(err)
	}
	c.unuse()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, c.failed.Load)
	r.mu.Lock()
	kept := r.c
	r.mu.Unlock()
	if kept != nil {
		t.Error("the connection is kept")
	}
	if _, err := r.conn(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestByeWhileAnswering has a manager close while an answer is being written: the process that it goes to hears that the manager is closed, not that it is lost.
func TestByeWhileAnswering(t *testing.T) {
	m, o := openFuzzed(t)
	there := elsewhere(t, o)
	if _, err := fuzzedAdd.Call(t.Context(), there, 1); err != nil {
		t.Fatal(err)
	}
	r := there.Manager().at.(*remote)
	h := m.at.(*host)
	h.mu.Lock()
	hc := h.conns[r.c.me]
	h.mu.Unlock()
	hc.writing.Lock()
	closed := make(chan error)
	go func() { closed <- m.Close() }()
	until(t, hc.leaving.Load)
	hc.writing.Unlock()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	until(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.c == nil || r.c.failed.Load()
	})
	if _, err := fuzzedAdd.Call(t.Context(), there, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("a call of a manager that was closed: %v", err)
	}
}

// TestByeToAFullRing has a manager close while its answers to a process fill the way there, which then reads: it finds the bye behind them.
func TestByeToAFullRing(t *testing.T) {
	defer func(was time.Duration) { byeTime = was }(byeTime)
	byeTime = time.Minute
	m, o := openFuzzed(t)
	there := elsewhere(t, o)
	if _, err := fuzzedAdd.Call(t.Context(), there, 1); err != nil {
		t.Fatal(err)
	}
	c := there.Manager().at.(*remote).c
	h := m.at.(*host)
	h.mu.Lock()
	hc := h.conns[c.me]
	h.mu.Unlock()
	if err := c.use(); err != nil {
		t.Fatal(err)
	}
	defer c.unuse()
	c.mu.Lock()
	c.leading = true // this test is, and nobody else reads
	c.mu.Unlock()
	defer c.handOver()
	hc.writing.Lock()
	for hc.end.Put(ring.Result{Kind: kindAnswer, Call: marker}) {
	}
	hc.writing.Unlock()
	closed := make(chan error)
	go func() { closed <- m.Close() }()
	until(t, func() bool { // it has found no room, or is about to
		free := hc.writing.TryLock()
		if free {
			hc.writing.Unlock()
		}
		return !free
	})
	<-time.After(10 * time.Millisecond)
	until(t, func() bool {
		r, ok, err := c.end.Next()
		if err != nil {
			t.Fatal(err)
		}
		bye := ok && r.Kind == kindBye
		if ok {
			c.end.Release()
		}
		return bye
	})
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// Who fetches what has ended, while as many calls are under way as there can be, tries again later: the connection stays.
func TestCollectWithoutRoom(t *testing.T) {
	c := newPeer(t).c
	c.mu.Lock()
	there := len(c.waiters)
	c.waiters = append(c.waiters, make([]*waiter, placeMask+1)...)
	c.mu.Unlock()
	c.queued.role <- struct{}{}
	c.collect(t.Context(), nil)
	c.mu.Lock()
	err := c.err
	c.waiters = c.waiters[:there]
	c.mu.Unlock()
	if err != nil || len(c.queued.role) != 0 {
		t.Error(err, len(c.queued.role))
	}
}

// A manager can be gone before who connects to it has begun to wait.
//
// feature: X1
func TestGoneWhileConnecting(t *testing.T) {
	for range 200 {
		to := newID()
		p := &peer{}
		gone := post.Listen(post.Addr(to), p)
		go gone()
		c, err := connect(to, func(*conn) {})
		if err == nil {
			until(t, c.failed.Load)
			c.mu.Lock()
			err = c.err
			c.mu.Unlock()
		}
		if !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
		if p.r != nil {
			p.r.Release()
		}
	}
}
