package manager

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/ring"
)

// come waits for what another goroutine does, and not for ever.
func come[T any](t testing.TB, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(time.Minute):
		t.Fatalf("%s: it does not come to pass", what)
	}
	return v
}

// next is the next record that the process sends, which is to be of a kind.
func (p *peer) next(t testing.TB, kind uint8) ring.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.end.Sleep(ctx, p.end.Ready); err != nil {
		t.Fatal(err)
	}
	r, ok, err := p.end.Next()
	if !ok || err != nil || r.Kind&kindBits != kind {
		t.Fatalf("a record of kind %d, want %d (%t, %v)", r.Kind, kind, ok, err)
	}
	p.end.Release()
	return r
}

// endOf tells of a call that has ended with a number.
func endOf(id, n uint64) []byte {
	b := append(binary.LittleEndian.AppendUint64(nil, id), kindAnswer)
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(b, 8), n)
}

// The end of a call comes on the answer to another goroutine's append, while who waits for the call fetches what has ended: he hears of it.
//
// feature: G1
func TestEndOnAnothersAnswer(t *testing.T) {
	p := newPeer(t)
	c := p.c
	f := newQueued(newID(), true, fuzzedAdd.decode)
	f.queued.conn = c
	id, err := c.queued.add(f)
	if err != nil {
		t.Fatal(err)
	}
	waited, appended := make(chan error, 1), make(chan error, 1)
	var n int
	go func() {
		var err error
		n, err = f.Wait(context.Background())
		waited <- err
	}()
	p.next(t, kindCollect) // it finds nothing: the end is on its way with the answer below
	go func() { appended <- c.appendCall(context.Background(), 1, []byte("a call"), nil) }()
	r := p.next(t, kindAppend)
	p.end.Put(ring.Result{Kind: kindAnswer, Call: r.Call, Body: endOf(id, 5)})
	if err := come(t, "the append", appended); err != nil {
		t.Error(err)
	}
	if err := come(t, "the wait", waited); err != nil || n != 5 {
		t.Errorf("%d, %v", n, err)
	}
}

// full has a goroutine send what there is no room for: the peer reads nothing. It returns once others must wait for it.
func (p *peer) full(t testing.TB) {
	t.Helper()
	c := p.c
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _, _ = c.begin(ctx, kindCall, 1, make([]byte, 4*areaBytes), nil)
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	until(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.putting
	})
}

var queuedHere = xme.Register("queuedHere", func(_ context.Context, n int) (int, error) { return n, nil })

// A Call of a queued function returns when its context ends, and does not sleep until something comes of it.
//
// feature: X4
func TestCallOfAQueuedFunctionReturnsWithItsContext(t *testing.T) {
	all, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for range 70 { // each would sleep for a second
		p := newPeer(t)
		r := newRemote(id(p.c.to))
		r.c = p.c
		m := &Manager{id: r.id, at: r}
		ctx, cancel := context.WithCancel(all)
		over := make(chan error, 1)
		go func() {
			_, err := queuedHere.Call(ctx, m.Queue(), 1)
			over <- err
		}()
		added := p.next(t, kindAppend)
		p.end.Put(ring.Result{Kind: kindAnswer, Call: added.Call})
		p.next(t, kindCollect)             // of what has ended: nothing
		<-time.After(5 * time.Millisecond) // mostly it sleeps by now
		cancel()
		if err := come(t, "the end of the call", over); !errors.Is(err, context.Canceled) || all.Err() != nil {
			t.Fatal(err, all.Err())
		}
		p.c.fail(ErrClosed)
	}
}

// Who fetches what has ended, behind a message that is not read, stops once what he waits for has ended otherwise.
//
// feature: X4
func TestStopsFetchingBehindALargeMessage(t *testing.T) {
	p := newPeer(t)
	p.full(t)
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		p.c.fetch(context.WithoutCancel(t.Context()), done)
	}()
	<-time.After(10 * time.Millisecond) // mostly it waits by now
	close(done)
	come(t, "the end of the wait", over)
}

// Whoever's message must wait until another one is written gives up when his context ends: a call, who waits for a queued one, who asks for the tables' lock.
//
// feature: X1
func TestGivesUpBehindALargeMessage(t *testing.T) {
	enough := context.Canceled
	given := func(t *testing.T, wait func(ctx context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		over := make(chan error, 1)
		go func() { over <- wait(ctx) }()
		<-time.After(10 * time.Millisecond) // mostly it waits by now
		cancel(enough)
		if err := come(t, "the wait", over); !errors.Is(err, enough) {
			t.Error(err)
		}
	}
	t.Run("a call", func(t *testing.T) {
		p := newPeer(t)
		p.full(t)
		given(t, func(ctx context.Context) error {
			_, _, err := p.c.begin(ctx, kindCall, 1, nil, nil)
			return err
		})
	})
	t.Run("a queued call", func(t *testing.T) {
		p := newPeer(t)
		f := newQueued(newID(), true, fuzzedAdd.decode)
		f.queued.conn = p.c
		if _, err := p.c.queued.add(f); err != nil {
			t.Fatal(err)
		}
		p.full(t)
		given(t, func(ctx context.Context) error {
			_, err := f.Wait(ctx)
			return err
		})
	})
	t.Run("the tables' lock", func(t *testing.T) {
		p := newPeer(t)
		r := newRemote(id(p.c.to))
		r.c = p.c
		m := &Manager{id: r.id, at: r}
		asked := make(chan error, 1)
		go func() {
			_, err := m.tablesLock(context.Background())
			asked <- err
		}()
		p.next(t, kindRequest) // which is not answered
		given(t, func(ctx context.Context) error {
			_, err := m.tablesLock(ctx)
			return err
		})
		p.c.fail(ErrClosed)
		if err := come(t, "the answer", asked); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

// The manager's process ends while who reads is just leaving: what ends the connection is noticed though nobody waits.
//
// feature: X1
func TestGoneWhileTheLeaderLeaves(t *testing.T) {
	c := newPeer(t).c
	c.mu.Lock()
	c.leading = true // who has his answer, and has not said so
	c.mu.Unlock()
	c.lost.Store(true)
	c.readLast() // another leads
	c.handOver()
	come(t, "the connection's end", c.life.Done())
}

// The manager's process ends while what an answer brings along is on its way: the call is lost.
//
// feature: X1
func TestGoneWhileAParcelIsOnItsWay(t *testing.T) {
	p := newPeer(t)
	c := p.c
	w, leads, err := c.begin(t.Context(), kindCall, 1, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.end.Put(ring.Result{Kind: kindAnswer | parcelBit, Call: p.next(t, kindCall).Call})
	answered := make(chan error, 1)
	go func() {
		answered <- c.await(context.Background(), w, leads, false, func(uint8, []byte, *parcel) error { return nil })
	}()
	p.gone()
	if err := come(t, "the answer", answered); !errors.Is(err, ErrLost) {
		t.Errorf("got %v", err)
	}
}
