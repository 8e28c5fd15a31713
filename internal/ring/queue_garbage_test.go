package ring_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

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
			if i%2 == 0 {
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
	defer cancel()
	_, err := q.GetFixed(ctx, 8, buf)
	check(err, io.EOF, context.DeadlineExceeded)
	lost := (*ring.LostError)(nil)
	if err := q.Join(ctx); !errors.As(err, &lost) {
		check(err, context.DeadlineExceeded)
	}
	q.End()
	_, _ = q.Sweep(8), q.Sweep(0)
	_, err = q.TryGetFixed(9, buf)
	check(err, io.EOF)
}
