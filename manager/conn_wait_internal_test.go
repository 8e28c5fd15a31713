package manager

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

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
