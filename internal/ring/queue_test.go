package ring_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

// queueOf makes a queue over new memory: of elements of 8 bytes, or, with an arena, of items.
func queueOf(t testing.TB, slots, arena int, waits ring.Waits) (*ring.Queue, []byte) {
	t.Helper()
	elem := 8
	if arena > 0 {
		elem = 0
	}
	mem := make([]byte, ring.QueueSize(slots, elem, arena))
	q, err := ring.NewQueue(mem, slots, elem, arena, waits)
	must(t, err)
	q.Spin = 0
	return q, mem
}

// opened is what another process has over the same memory.
func opened(t testing.TB, mem []byte, waits ring.Waits) *ring.Queue {
	t.Helper()
	q, err := ring.OpenQueue(mem, waits)
	must(t, err)
	q.Spin = 0
	return q
}

func elements(ns ...uint64) []byte {
	var b []byte
	for _, n := range ns {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

// drain takes all that is there, whatever the kind, and returns the first 8 bytes of each.
func drain(t testing.TB, q *ring.Queue, me uint32, fixed bool) (ns []uint64) {
	t.Helper()
	for {
		var err error
		if buf := make([]byte, 24); fixed {
			var n int
			n, err = q.TryGetFixed(me, buf)
			for i := range n {
				ns = append(ns, binary.LittleEndian.Uint64(buf[8*i:]))
			}
		} else {
			err = q.TryGetVar(me, func(item []byte) error {
				ns = append(ns, binary.LittleEndian.Uint64(item))
				if !intact(item, ns[len(ns)-1]) {
					t.Errorf("torn item %x", item)
				}
				return nil
			})
		}
		if errors.Is(err, ring.ErrWouldWait) || errors.Is(err, io.EOF) {
			return ns
		}
		must(t, err)
	}
}

func same(t testing.TB, what string, got []uint64, want ...uint64) {
	t.Helper()
	if !bytes.Equal(elements(got...), elements(want...)) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
}

// Elements come out as they went in, round and round, in any batches.
func TestQueueFixed(t *testing.T) {
	t.Parallel()
	q, mem := queueOf(t, 5, 0, newParks())
	other := opened(t, mem, newParks())
	if q.Cap() != 5 || other.Len() != 0 {
		t.Fatal("cap", q.Cap(), "len", other.Len())
	}
	for i := uint64(0); i < 50; i += 4 {
		n, err := q.PutFixed(t.Context(), 7, elements(i, i+1, i+2, i+3))
		if n != 4 || err != nil || other.Len() != 4 {
			t.Fatalf("put %d, %v, len %d", n, err, other.Len())
		}
		n, err = q.TryPutFixed(7, elements(99, 100))
		wantErr(t, err, ring.ErrWouldWait)
		if n != 1 {
			t.Fatalf("put %d where one had room", n)
		}
		same(t, "got", drain(t, other, 8, true), i, i+1, i+2, i+3, 99)
	}
	if _, err := q.PutFixed(t.Context(), 7, make([]byte, 9)); err == nil {
		t.Error("put half an element")
	}
	if _, err := q.GetFixed(t.Context(), 7, make([]byte, 7)); err == nil {
		t.Error("got half an element")
	}
	if q.PutVar(t.Context(), 7, nil) == nil || q.GetVar(t.Context(), 7, nil) == nil {
		t.Error("items in a queue of elements")
	}
}

// Items of every size, up to all the room there is, come out as they went in.
func TestQueueVar(t *testing.T) {
	t.Parallel()
	q, mem := queueOf(t, 3, 100, newParks())
	other := opened(t, mem, newParks())
	for i, size := range []int{100, 8, 40, 41, 100, 9, 104, 64, 33, 97} {
		item := make([]byte, size)
		fill(item, uint64(i))
		must(t, q.PutVar(t.Context(), 7, item))
		if size > 96 {
			wantErr(t, q.TryPutVar(7, make([]byte, 8)), ring.ErrWouldWait) // no bytes
		}
		same(t, "got", drain(t, other, 8, false), uint64(i))
	}
	for range 3 {
		must(t, q.PutVar(t.Context(), 7, nil))
	}
	wantErr(t, q.TryPutVar(7, nil), ring.ErrWouldWait) // no slot
	for range 3 {
		must(t, other.GetVar(t.Context(), 8, func(item []byte) error {
			if len(item) != 0 {
				t.Errorf("an empty item has %d bytes", len(item))
			}
			return nil
		}))
	}
	wantErr(t, q.PutVar(t.Context(), 7, make([]byte, 105)), ring.ErrTooLarge)
	if _, err := q.PutFixed(t.Context(), 7, nil); err == nil {
		t.Error("elements in a queue of items")
	}
	if _, err := q.GetFixed(t.Context(), 7, nil); err == nil {
		t.Error("elements in a queue of items")
	}
}

// An item is taken though its use fails or panics, and the lock is free after it.
func TestQueueUseFails(t *testing.T) {
	t.Parallel()
	q, mem := queueOf(t, 3, 100, newParks())
	for i := range uint64(3) {
		must(t, q.PutVar(t.Context(), 7, elements(i)))
	}
	no := errors.New("no")
	wantErr(t, q.GetVar(t.Context(), 7, func([]byte) error { return no }), no)
	func() {
		defer func() { _ = recover() }()
		_ = q.GetVar(t.Context(), 7, func([]byte) error { panic("no") })
	}()
	same(t, "left", drain(t, opened(t, mem, newParks()), 8, false), 2)
}

// After End nothing is put, and what is there is got before io.EOF.
func TestQueueEnd(t *testing.T) {
	t.Parallel()
	for name, arena := range map[string]int{"fixed": 0, "var": 64} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, mem := queueOf(t, 3, arena, newParks())
			put := func() error {
				if arena > 0 {
					return q.PutVar(t.Context(), 7, elements(1))
				}
				_, err := q.PutFixed(t.Context(), 7, elements(1))
				return err
			}
			get := func() error {
				if arena > 0 {
					return q.GetVar(t.Context(), 7, func([]byte) error { return nil })
				}
				_, err := q.GetFixed(t.Context(), 7, make([]byte, 8))
				return err
			}
			must(t, put())
			opened(t, mem, newParks()).End()
			if !q.Ended() || q.Len() != 1 {
				t.Fatal("ended", q.Ended(), "len", q.Len())
			}
			wantErr(t, put(), ring.ErrEnded)
			must(t, get())
			wantErr(t, get(), io.EOF)
			wantErr(t, put(), ring.ErrEnded)
			wantErr(t, get(), io.EOF)
			must(t, q.Done(7, 1))
			must(t, q.Join(t.Context()))
		})
	}
}

// A context that has ended does nothing.
func TestQueueContextEnded(t *testing.T) {
	t.Parallel()
	q, _ := queueOf(t, 3, 0, newParks())
	items, _ := queueOf(t, 3, 64, newParks())
	_, err := q.PutFixed(t.Context(), 7, elements(1))
	must(t, err)
	must(t, items.PutVar(t.Context(), 7, elements(1)))
	no := errors.New("no")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(no)
	_, err = q.PutFixed(ctx, 7, elements(2))
	wantErr(t, err, no)
	_, err = q.GetFixed(ctx, 7, make([]byte, 8))
	wantErr(t, err, no)
	wantErr(t, items.PutVar(ctx, 7, nil), no)
	wantErr(t, items.GetVar(ctx, 7, nil), no)
	wantErr(t, q.Join(ctx), no)
	if q.Len() != 1 || items.Len() != 1 {
		t.Error("len", q.Len(), items.Len())
	}
}

func TestQueueMemory(t *testing.T) {
	t.Parallel()
	for _, bad := range [][3]int{{0, 8, 0}, {-1, 8, 0}, {1, -8, 0}, {1, 0, 0}, {1, 8, 8}, {1, 0, -1}, {math.MaxInt / 2, 8, 0}, {8, math.MaxInt / 2, 0}, {math.MaxInt / 8, 0, 64}, {8, 0, math.MaxInt}} {
		if n := ring.QueueSize(bad[0], bad[1], bad[2]); n != 0 {
			t.Errorf("%v take %d bytes", bad, n)
		}
		if _, err := ring.NewQueue(make([]byte, 1<<16), bad[0], bad[1], bad[2], polls{}); err == nil {
			t.Errorf("made one with %v", bad)
		}
	}
	size := ring.QueueSize(4, 8, 0)
	mem := make([]byte, size+8)
	if _, err := ring.NewQueue(mem[:size-1], 4, 8, 0, polls{}); err == nil {
		t.Error("made one in too little memory")
	}
	if _, err := ring.NewQueue(mem[1:], 4, 8, 0, polls{}); err == nil {
		t.Error("made one in memory out of place")
	}
	if _, err := ring.NewQueue(mem, 4, 8, 0, polls{}); err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(mem)
	other[0]++
	for name, bad := range map[string][]byte{"of another kind": other, "too short": mem[:size-1], "shorter": mem[:100], "none": nil, "out of place": mem[1:], "zero": make([]byte, size)} {
		if _, err := ring.OpenQueue(bad, polls{}); !errors.Is(err, ring.ErrCorrupt) {
			t.Errorf("opened in memory that is %s: %v", name, err)
		}
	}
}
