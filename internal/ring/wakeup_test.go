package ring_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/ring"
)

// These tests hold a goroutine between its look and its sleep, where a wake-up could
// be lost.

// before is a parks that calls do before the first sleep, once.
type before struct {
	*parks
	do   func()
	once atomic.Bool
}

func (b *before) Wait(word *atomic.Uint32, old uint32, d time.Duration) {
	if !b.once.Swap(true) {
		b.do()
	}
	b.parks.Wait(word, old, d)
}

// flag is a context that ends without telling.
type flag struct {
	context.Context
	ended atomic.Bool
}

func (*flag) Done() <-chan struct{} { return nil }

func (f *flag) Err() error {
	if f.ended.Load() {
		return context.Canceled
	}
	return nil
}

// A context that ends just before the sleep ends the sleep, though its first wake-up came
// too early.
func TestWakeUpBeforeSleep(t *testing.T) {
	t.Parallel()
	mem := make([]byte, 4096)
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	waits := &before{parks: newParks()}
	waits.do = func() {
		cancel()
		awaitThat(t, func() bool { return waits.wakes.Load() > 0 })
	}
	ring.Word32(mem, 0).Store(7)
	_, err := ring.NewLock(mem, waits).Acquire(ctx, 8)
	wantErr(t, err, context.Canceled)
}

// What a process that died was to wake is woken by its sweep: it released the lock, it
// put an item, it took one, it was done.
func TestSweepWakes(t *testing.T) {
	t.Parallel()
	waits := newParks()
	mem := make([]byte, 4096)
	ring.Word32(mem, 0).Store(dead)
	res := make(chan error, 2)
	go func() {
		_, err := ring.NewLock(mem, waits).Acquire(bounded(t), other)
		res <- err
	}()
	waits.await(t, ring.Word32(mem, 0), 1)
	ring.Word32(mem, 0).Store(0)
	ring.NewLock(mem, waits).Sweep(dead)
	must(t, <-res)

	q, mem := queueOf(t, 2, 0, waits)
	go func() {
		_, err := opened(t, mem, waits).GetFixed(bounded(t), other, make([]byte, 8))
		res <- err
	}()
	waits.await(t, ring.Word32(mem, ring.OffItems), 1)
	ring.Word(mem, ring.OffTail).Store(2)
	q.Sweep(dead)
	must(t, <-res)

	go func() {
		_, err := opened(t, mem, waits).PutFixed(bounded(t), other, elements(1, 2))
		res <- err
	}()
	waits.await(t, ring.Word32(mem, ring.OffSpace), 1)
	ring.Word(mem, ring.OffHead).Store(3)
	q.Sweep(dead)
	must(t, <-res)

	go func() { res <- opened(t, mem, waits).Join(bounded(t)) }()
	waits.await(t, ring.Word32(mem, ring.OffJoins), 1)
	ring.Word(mem, ring.OffTable+16).Store(4) // done
	q.Sweep(dead)
	must(t, <-res)
}

// Between a consumer's look and its sleep two items come and another consumer takes
// the bit for itself: the first does not sleep beside an item.
func TestQueueBitSetAgain(t *testing.T) {
	t.Parallel()
	waits := &before{parks: newParks()}
	q, mem := queueOf(t, 4, 0, waits)
	waits.do = func() {
		if _, err := q.TryPutFixed(9, elements(1, 2)); err != nil {
			t.Error(err)
		}
		ring.Word32(mem, ring.OffItems).Or(1)
	}
	n, err := opened(t, mem, waits).GetFixed(bounded(t), other, make([]byte, 8))
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
}

// A queue that ends between a look and a sleep is not slept beside.
func TestQueueEndsBeforeSleep(t *testing.T) {
	t.Parallel()
	waits := &before{parks: newParks()}
	q, mem := queueOf(t, 1, 0, waits)
	waits.do = q.End
	_, err := opened(t, mem, waits).GetFixed(bounded(t), other, make([]byte, 8))
	wantErr(t, err, io.EOF)

	waits = &before{parks: newParks()}
	q, mem = queueOf(t, 1, 0, waits)
	waits.do = q.End
	n, err := opened(t, mem, waits).PutFixed(bounded(t), other, elements(1, 2))
	if wantErr(t, err, ring.ErrEnded); n != 1 {
		t.Errorf("put %d", n)
	}
}

// One wake-up is for as many as a batch has elements.
func TestBatchWakesOnce(t *testing.T) {
	t.Parallel()
	waits := newParks()
	q, mem := queueOf(t, 8, 0, waits)
	for n := range int64(4) {
		ring.Word32(mem, ring.OffItems).Or(1) // somebody sleeps
		_, err := q.TryPutFixed(7, make([]byte, 8*(n+1)))
		must(t, err)
		if waits.most.Load() != n+1 || waits.wakes.Load() != n+1 {
			t.Errorf("%d elements: %d wake-ups, the last for %d", n+1, waits.wakes.Load(), waits.most.Load())
		}
		drain(t, q, 8, true)
	}
}

// Who is woken and then gives up wakes another.
func TestWokenGivesUp(t *testing.T) {
	t.Parallel()
	waits := newParks()
	q, mem := queueOf(t, 4, 0, waits)
	word := ring.Word32(mem, ring.OffItems)
	ctx := &flag{Context: t.Context()}
	first, second := make(chan error, 1), make(chan error, 1)
	get := func(ctx context.Context, me uint32, res chan error) {
		_, err := opened(t, mem, waits).GetFixed(ctx, me, make([]byte, 8))
		res <- err
	}
	go get(ctx, 10, first)
	waits.await(t, word, 1)
	go get(bounded(t), 11, second)
	waits.await(t, word, 2)
	ctx.ended.Store(true)
	_, err := q.TryPutFixed(9, elements(1))
	must(t, err)
	if err := <-first; err == nil { // it found the item before it looked at ctx
		_, err = q.TryPutFixed(9, elements(2))
		must(t, err)
	}
	must(t, <-second)

	mem = make([]byte, 4096)
	word = ring.Word32(mem, 0)
	word.Store(7)
	ctx = &flag{Context: t.Context()}
	acquire := func(ctx context.Context, me uint32, res chan error) {
		_, err := ring.NewLock(mem, waits).Acquire(ctx, me)
		res <- err
	}
	go acquire(ctx, 10, first)
	waits.await(t, word, 1)
	go acquire(bounded(t), 11, second)
	waits.await(t, word, 2)
	word.Store(6) // another has it, from hand to hand, without the bit
	ctx.ended.Store(true)
	waits.Wake(word, 1)
	wantErr(t, <-first, context.Canceled)
	awaitThat(t, func() bool { return word.Load() == 6|ring.SleepBit })
	ring.NewLock(mem, waits).Release(6)
	must(t, <-second)
}

// The queue ends when an item has been copied and not published: it is not put.
func TestQueueEndsMeanwhile(t *testing.T) {
	t.Parallel()
	for _, arena := range []int{0, 64} {
		q, mem := queueOf(t, 4, arena, newParks())
		q.Steps(func(at string) {
			if at == "put: copied" {
				opened(t, mem, newParks()).End()
			}
		})
		n, err := q.TryPutFixed(7, elements(1))
		if arena > 0 {
			err = q.TryPutVar(7, elements(1))
		}
		if n != 0 || q.Len() != 0 || !errors.Is(err, ring.ErrEnded) {
			t.Errorf("put %d, %d there, %v", n, q.Len(), err)
		}
	}
}
