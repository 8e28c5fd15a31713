package ring_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/internal/ring"
)

// Producers and consumers, each with its own Queue as processes have: every element
// arrives once, those of one producer in order, and every sleep is ended by a wake-up. The
// race detector sees every access.
func TestQueueSides(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		slots, arena, putters, getters int
	}{{3, 0, 1, 1}, {3, 0, 3, 3}, {64, 0, 2, 4}, {4, 200, 1, 1}, {4, 200, 3, 3}, {64, 2000, 4, 2}} {
		t.Run(fmt.Sprintf("%+v", tc), func(t *testing.T) {
			t.Parallel()
			each := 5000
			if !long.Wanted() {
				each = 500
			}
			waits := newParks()
			q, mem := queueOf(t, tc.slots, tc.arena, waits)
			var putters, getters sync.WaitGroup
			for p := range tc.putters {
				putters.Go(func() { produce(t, opened(t, mem, waits), uint32(p+1), each, tc.arena == 0) })
			}
			got := make([][]uint64, tc.getters)
			for g := range tc.getters {
				getters.Go(func() { got[g] = consume(t, opened(t, mem, waits), uint32(g+100), tc.arena == 0) })
			}
			putters.Wait()
			must(t, q.Join(bounded(t)))
			q.End()
			getters.Wait()
			seen := map[uint64]bool{}
			for _, ns := range got {
				last := map[uint64]uint64{}
				for _, n := range ns {
					if p := n >> 32; seen[n] || last[p] > n {
						t.Fatalf("%x came twice, or after %x", n, last[p])
					}
					seen[n], last[n>>32] = true, n
				}
			}
			if len(seen) != tc.putters*each {
				t.Errorf("got %d of %d", len(seen), tc.putters*each)
			}
		})
	}
}

func produce(t *testing.T, q *ring.Queue, me uint32, each int, fixed bool) {
	ctx, rnd := bounded(t), rand.New(rand.NewPCG(uint64(me), 1))
	for i := 0; i < each; {
		n := uint64(me)<<32 | uint64(i)
		if !fixed {
			item := make([]byte, 8+rnd.IntN(90))
			fill(item, n)
			if err := q.PutVar(ctx, me, item); err != nil {
				t.Errorf("put: %v", err)
				return
			}
			i++
			continue
		}
		var batch []byte
		for range min(1+rnd.IntN(8), each-i) {
			batch = append(batch, elements(n)...)
			n, i = n+1, i+1
		}
		if k, err := q.PutFixed(ctx, me, batch); err != nil || k != len(batch)/8 {
			t.Errorf("put %d: %v", k, err)
			return
		}
	}
}

func consume(t *testing.T, q *ring.Queue, me uint32, fixed bool) (got []uint64) {
	ctx, rnd := bounded(t), rand.New(rand.NewPCG(uint64(me), 2))
	buf := make([]byte, 8*8)
	for {
		k, err := 1, error(nil)
		if fixed {
			k, err = q.GetFixed(ctx, me, buf[:8*(1+rnd.IntN(8))])
			for i := range k {
				got = append(got, binary.LittleEndian.Uint64(buf[8*i:]))
			}
		} else {
			err = q.GetVar(ctx, me, func(item []byte) error {
				n := binary.LittleEndian.Uint64(item)
				if got = append(got, n); !intact(item, n) {
					return fmt.Errorf("item %x arrived torn", n)
				}
				return nil
			})
		}
		if errors.Is(err, io.EOF) {
			return got
		}
		if err == nil {
			err = q.Done(me, k)
		}
		if err != nil {
			t.Errorf("get: %v", err)
			return got
		}
	}
}

// What ends a wait: the other side, the context, End, the sweep of another.
func TestQueueWaits(t *testing.T) {
	t.Parallel()
	no := errors.New("no")
	full := func(t *testing.T, q *ring.Queue) {
		_, err := q.PutFixed(t.Context(), 9, elements(1, 2, 3))
		must(t, err)
	}
	put := func(ctx context.Context, q *ring.Queue) error {
		n, err := q.PutFixed(ctx, 7, elements(4))
		if (n == 1) != (err == nil) {
			return fmt.Errorf("put %d, %w", n, err)
		}
		return err
	}
	get := func(ctx context.Context, q *ring.Queue) error {
		_, err := q.GetFixed(ctx, 7, make([]byte, 8))
		return err
	}
	join := func(ctx context.Context, q *ring.Queue) error { return q.Join(ctx) }
	end := func(q *ring.Queue, _ func(error)) { q.End() }
	cancel := func(_ *ring.Queue, cancel func(error)) { cancel(no) }
	takes := func(q *ring.Queue, _ func(error)) { _, _ = q.TryGetFixed(8, make([]byte, 8)) }
	for _, tc := range []struct {
		name string
		full bool
		wait func(ctx context.Context, q *ring.Queue) error
		on   int
		wake func(q *ring.Queue, cancel func(error))
		want error
	}{
		{"put, taken", true, put, ring.OffSpace, takes, nil},
		{"put, end", true, put, ring.OffSpace, end, ring.ErrEnded},
		{"put, cancel", true, put, ring.OffSpace, cancel, no},
		{"get, put", false, get, ring.OffItems, func(q *ring.Queue, _ func(error)) { _, _ = q.TryPutFixed(8, elements(1)) }, nil},
		{"get, end", false, get, ring.OffItems, end, io.EOF},
		{"get, cancel", false, get, ring.OffItems, cancel, no},
		{"join, cancel", true, join, ring.OffJoins, cancel, no},
		{"join, done", true, join, ring.OffJoins, func(q *ring.Queue, _ func(error)) {
			n, _ := q.TryGetFixed(8, make([]byte, 24))
			_ = q.Done(8, n-1)
			_ = q.Done(8, 1)
		}, nil},
		{"join, swept", true, join, ring.OffJoins, func(q *ring.Queue, _ func(error)) {
			_, _ = q.TryGetFixed(8, make([]byte, 24))
			q.Sweep(8)
		}, &ring.LostError{Items: 3, PID: 8}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			waits := newParks()
			q, mem := queueOf(t, 3, 0, waits)
			if tc.full {
				full(t, q)
			}
			ctx, cancel := context.WithCancelCause(bounded(t))
			res := make(chan error, 1)
			go func() { res <- tc.wait(ctx, opened(t, mem, waits)) }()
			waits.await(t, ring.Word32(mem, tc.on), 1)
			tc.wake(q, cancel)
			err := <-res
			if lost := (*ring.LostError)(nil); errors.As(err, &lost) {
				if want, ok := tc.want.(*ring.LostError); !ok || *lost != *want { //nolint:errorlint // a table's value
					t.Fatalf("%v, want %v", err, tc.want)
				}
				return
			}
			wantErr(t, err, tc.want)
		})
	}
}

// A batch wakes as many as it has elements, at once; and nobody is woken when nobody sleeps.
func TestQueueWakesWhoSleeps(t *testing.T) {
	t.Parallel()
	waits := newParks()
	q, mem := queueOf(t, 8, 0, waits)
	for i := range uint64(20) {
		_, err := q.PutFixed(t.Context(), 7, elements(i))
		must(t, err)
		_, err = q.GetFixed(t.Context(), 7, make([]byte, 8))
		must(t, err)
		must(t, q.Done(7, 1))
	}
	if n := waits.wakes.Load(); n != 0 {
		t.Errorf("%d wake-ups, and nobody slept", n)
	}
	word := ring.Word32(mem, ring.OffItems)
	res := make(chan error, 3)
	for me := range uint32(3) {
		go func() {
			_, err := opened(t, mem, waits).GetFixed(bounded(t), me+10, make([]byte, 8))
			res <- err
		}()
	}
	waits.await(t, word, 3)
	_, err := q.PutFixed(t.Context(), 7, elements(1, 2))
	must(t, err)
	must(t, <-res)
	must(t, <-res)
	waits.await(t, word, 1)
	_, err = q.PutFixed(t.Context(), 7, elements(3)) // one of the woken has set the bit again
	must(t, err)
	must(t, <-res)
}

// Two puts come before the one whom the first woke has run: it wakes the next.
func TestQueuePassesWakeUpOn(t *testing.T) {
	t.Parallel()
	for _, cancels := range []bool{false, true} {
		t.Run(fmt.Sprint("cancels ", cancels), func(t *testing.T) {
			t.Parallel()
			waits := newParks()
			_, mem := queueOf(t, 8, 0, waits)
			word, tail := ring.Word32(mem, ring.OffItems), ring.Word(mem, ring.OffTail)
			ctx, cancel := context.WithCancel(bounded(t))
			defer cancel()
			first, second := make(chan error, 1), make(chan error, 1)
			get := func(ctx context.Context, me uint32, res chan error) {
				_, err := opened(t, mem, waits).GetFixed(ctx, me, make([]byte, 8))
				res <- err
			}
			go get(ctx, 10, first)
			waits.await(t, word, 1)
			go get(bounded(t), 11, second)
			waits.await(t, word, 2)
			word.Add(1) // a put took the bit
			if cancels {
				cancel()
				wantErr(t, <-first, context.Canceled)
				waits.await(t, word, 1) // the other found nothing
				if word.Load()&1 == 0 {
					t.Error("it sleeps, and the word does not say so")
				}
				return
			}
			tail.Store(2) // and another put saw no bit
			waits.Wake(word, 1)
			must(t, <-first)
			must(t, <-second)
		})
	}
}
