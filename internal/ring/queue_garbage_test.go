package ring_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

// FuzzQueueGarbage overwrites part of a queue's memory under the hands of those who use
// it: they may get wrong bytes, but they end, within bounds, with results or errors.
func FuzzQueueGarbage(f *testing.F) {
	f.Add(uint16(0), []byte{1}, true)
	f.Add(uint16(8), []byte{255, 255, 255, 255, 255, 255, 255, 127}, true)
	f.Add(uint16(ring.OffTail), []byte{255, 255, 255, 255}, true)
	f.Add(uint16(ring.OffHead), []byte{255, 0, 0, 0, 0, 0, 0, 128}, false)
	f.Add(uint16(ring.OffPut), bytes.Repeat([]byte{0xff}, 128), false)
	f.Add(uint16(ring.OffTable), bytes.Repeat([]byte{0xff}, 64), true)
	f.Add(uint16(ring.OffTable-64), bytes.Repeat([]byte{0xff}, 64), true)
	for _, word := range [][]byte{{0xff, 0xff}, {8}, {0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}} {
		for off := range 4 {
			f.Add(uint16(ring.OffSlots+8*off), word, false)
		}
	}
	f.Fuzz(func(t *testing.T, at uint16, rubbish []byte, fixed bool) {
		arena := 160
		if fixed {
			arena = 0
		}
		q, mem := queueOf(t, modelSlots, arena, polls{})
		for i := range uint64(5) {
			_, _ = q.TryPutFixed(7, elements(i))
			item := make([]byte, 20)
			fill(item, i)
			_ = q.TryPutVar(7, item)
			if i == 0 || i == 2 { // two are left, in the last slot and the first
				drain(t, q, 7, fixed)
			}
		}
		copy(mem[int(at)%len(mem):], rubbish)
		queues := []*ring.Queue{q}
		if q, err := ring.OpenQueue(mem, polls{}); err == nil {
			queues = append(queues, q)
		} else if !errors.Is(err, ring.ErrCorrupt) {
			t.Fatal(err)
		}
		for i, q := range queues {
			use(t, q, i == 0)
		}
	})
}

// use uses q, which was opened before or after the garbage came: then its elements may be
// of any size, which is an error of its own.
func use(t *testing.T, q *ring.Queue, before bool) {
	check := func(err error, known ...error) {
		t.Helper()
		if err != nil && before && !slices.ContainsFunc(append(known, ring.ErrCorrupt, ring.ErrWouldWait, ring.ErrKind), func(e error) bool { return errors.Is(err, e) }) {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 32)
	for range 3 * modelSlots {
		_, err := q.TryGetFixed(8, buf)
		check(err, io.EOF)
		check(q.TryGetVar(8, func(item []byte) error {
			if len(item) > modelArena {
				t.Fatalf("an item of %d bytes", len(item))
			}
			copy(buf, item)
			return nil
		}), io.EOF)
		_, err = q.TryPutFixed(8, buf)
		check(err, ring.ErrEnded)
		check(q.TryPutVar(8, buf), ring.ErrEnded)
		_ = q.Done(8, 1)
	}
	if n := q.Len(); n < 0 || n > q.Cap() {
		t.Fatalf("len %d of %d", n, q.Cap())
	}
	ctx := &soon{Context: t.Context(), looks: 5}
	_, err := q.GetFixed(ctx, 8, buf)
	check(err, io.EOF, context.Canceled)
	ctx.looks = 5
	lost := (*ring.LostError)(nil)
	if err := q.Join(ctx); !errors.As(err, &lost) {
		check(err, context.Canceled)
	}
	q.End()
	_, _ = q.Sweep(8), q.Sweep(0)
	_, err = q.TryGetFixed(9, buf)
	check(err, io.EOF)
}

// soon is a context that ends after it was looked at so often.
type soon struct {
	context.Context
	looks int
}

func (*soon) Done() <-chan struct{} { return nil }

func (s *soon) Err() error {
	if s.looks--; s.looks < 0 {
		return context.Canceled
	}
	return nil
}

// Each kind of rubbish is found out.
func TestQueueRubbish(t *testing.T) {
	t.Parallel()
	const size = ring.OffSlots + 8
	for _, tc := range []struct {
		name     string
		arena    int
		off      int
		word     uint64
		put, get error
	}{
		{"none", 0, ring.OffHead, 0, nil, nil},
		{"none of items", 64, ring.OffHead, 0, nil, nil},
		{"more put than there are slots", 0, ring.OffTail, 5, ring.ErrCorrupt, ring.ErrCorrupt},
		{"and it has ended", 0, ring.OffTail, 5 | 1<<63, ring.ErrEnded, ring.ErrCorrupt},
		{"more taken than put", 0, ring.OffHead, 9, nil, ring.ErrCorrupt}, // who puts looks at head when it must
		{"more items put", 64, ring.OffTail, 5, ring.ErrCorrupt, ring.ErrCorrupt},
		{"an item beyond the arena", 64, size, 72, ring.ErrCorrupt, ring.ErrCorrupt},
		{"an item larger than anything", 64, size, 1<<64 - 1, nil, ring.ErrCorrupt},
		{"an item where none can be", 64, ring.OffSlots, 60, ring.ErrCorrupt, ring.ErrCorrupt},
		{"an item far away", 64, ring.OffSlots, 1 << 63, nil, nil}, // it may as well be
		{"many takers", 0, ring.OffTable - 64, 1 << 63, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			q, mem := queueOf(t, 4, tc.arena, polls{})
			_, _ = q.TryPutFixed(7, elements(1))
			_ = q.TryPutVar(7, elements(1))
			ring.Word(mem, tc.off).Store(tc.word)
			q = opened(t, mem, polls{})
			_, put := q.TryPutFixed(7, elements(1))
			_, get := q.TryGetFixed(7, make([]byte, 8))
			if tc.arena > 0 {
				put = q.TryPutVar(7, elements(1))
				get = q.TryGetVar(7, func([]byte) error { return nil })
			}
			wantErr(t, put, tc.put)
			wantErr(t, get, tc.get)
			if _, ok := q.Done(9, 1), q.Join(&soon{Context: t.Context(), looks: 5}); ok == nil {
				t.Error("joined, and an item is there")
			}
		})
	}
}
