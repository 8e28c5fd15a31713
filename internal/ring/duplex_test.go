package ring_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/xenonmp/xme/internal/park"
	"github.com/xenonmp/xme/internal/ring"
)

const duplexArea = 1 << 10

func newDuplex(t testing.TB) (mem []byte, first, second *ring.End) {
	t.Helper()
	size := ring.DuplexSize(duplexArea)
	mem = make([]byte, size+ring.Align)
	for !ring.Aligned(mem) {
		mem = mem[1:]
	}
	mem = mem[:size]
	return mem, ring.NewEnd(mem, false, park.Waits{}), ring.NewEnd(mem, true, park.Waits{})
}

func bodyOf(n int) []byte { return bytes.Repeat([]byte{byte(n), byte(n >> 8)}, n)[:n] }

// next returns the next record, which it waits for.
func next(t *testing.T, e *ring.End) (r ring.Result, ok bool) {
	t.Helper()
	for {
		r, ok, err := e.Next()
		if err != nil {
			t.Error(err)
			return r, false
		}
		if ok {
			return r, true
		}
		if err := e.Sleep(t.Context(), e.Ready); err != nil {
			t.Error(err)
			return r, false
		}
	}
}

// TestDuplex has both sides send bodies of all sizes at once, each slept for, round the ring many times.
func TestDuplex(t *testing.T) {
	_, first, second := newDuplex(t)
	var all sync.WaitGroup
	for _, e := range []*ring.End{first, second} {
		all.Go(func() {
			for i := range 20 * e.Most() {
				r := ring.Result{Kind: uint8(i), Call: uint32(i), Time: uint64(i) + 7, Body: bodyOf(i % (e.Most() + 1))}
				for !e.Put(r) {
					if err := e.Sleep(t.Context(), e.HasRoom); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
		all.Go(func() {
			for i := range 20 * e.Most() {
				r, ok := next(t, e)
				if !ok {
					return
				}
				if r.Kind != uint8(i) || r.Call != uint32(i) || r.Time != uint64(i)+7 || !bytes.Equal(r.Body, bodyOf(i%(e.Most()+1))) {
					t.Errorf("record %d: %d %d %d, %d bytes", i, r.Kind, r.Call, r.Time, len(r.Body))
				}
				e.Release()
			}
		})
	}
	all.Wait()
}

func TestDuplexFull(t *testing.T) {
	_, first, second := newDuplex(t)
	if first.Fits(first.Most()+1) || !first.Fits(first.Most()) {
		t.Error("Most and Fits differ")
	}
	n := 0
	for first.Put(ring.Result{Call: uint32(n), Body: bodyOf(first.Most())}) {
		n++
	}
	if n == 0 || first.HasRoom() {
		t.Errorf("%d fit, and there is room: %v", n, first.HasRoom())
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if err := first.Sleep(ctx, first.HasRoom); !errors.Is(err, why) {
		t.Errorf("slept until %v", err)
	}
	for i := range n {
		if r, ok := next(t, second); !ok || r.Call != uint32(i) {
			t.Errorf("record %d is %d", i, r.Call)
		}
		second.Release()
	}
	if err := first.Sleep(t.Context(), first.HasRoom); err != nil || !first.Put(ring.Result{}) {
		t.Errorf("no room in an empty ring: %v", err)
	}
}

// TestDuplexRubbish has the other side write what cannot be.
func TestDuplexRubbish(t *testing.T) {
	const records = 512 // of the first
	for name, first := range map[string]uint64{
		"longer than the ring":     1<<20 | 1<<32,
		"longer than what is left": duplexArea - 8 | 1<<32,
		"of no kind":               8,
		"of another kind":          8 | 2<<32,
		"of a type beyond":         8 | 1<<32 | 1<<48,
		"a gap of all":             1<<32 - 1,
	} {
		t.Run(name, func(t *testing.T) {
			mem, _, second := newDuplex(t)
			ring.Word(mem, records).Store(first)
			if !second.Ready() {
				t.Error("nobody would look")
			}
			if r, ok, err := second.Next(); ok || !errors.Is(err, ring.ErrCorrupt) {
				t.Errorf("read %+v, %v: %v", r, ok, err)
			}
		})
	}
}
