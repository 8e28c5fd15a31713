package ring_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/quick"
	"time"
	"unsafe"

	"github.com/xenonmp/xme/internal/ring"
)

// env waits by giving way, so that tests need no kernel.
func env() *ring.Env {
	return &ring.Env{
		Wait: func(word *atomic.Uint32, old uint32, d time.Duration) {
			for end := time.Now().Add(min(d, 10*time.Millisecond)); word.Load() == old && time.Now().Before(end); {
				runtime.Gosched()
			}
		},
		Wake: func(*atomic.Uint32, int) {},
	}
}

// zeroed is n bytes of zeros, aligned.
func zeroed(n int) []byte {
	words := make([]uint64, (n+7)/8+1)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
}

func newQueue(t testing.TB, slots, elem, arena int) *ring.Queue {
	t.Helper()
	q, err := ring.NewQueue(zeroed(ring.QueueSize(slots, elem, arena)), slots, elem, arena, env())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func eight(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// process is one with goroutines of its own: a Queue over the same memory.
func process(t testing.TB, mem []byte) *ring.Queue {
	t.Helper()
	q, err := ring.OpenQueue(mem, env())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestLock(t *testing.T) {
	t.Parallel()
	var word atomic.Uint32
	e := env()
	var inside atomic.Int32
	var wait sync.WaitGroup
	total := 0
	for pid := range uint32(4) {
		wait.Go(func() {
			l := ring.NewLock(&word, e, nil)
			for range 2000 {
				if _, err := l.Acquire(t.Context(), pid+1); err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two hold it")
				}
				total++
				inside.Add(-1)
				l.Release(pid + 1)
			}
		})
	}
	wait.Wait()
	if total != 8000 || word.Load()&(1<<30-1) != 0 {
		t.Errorf("%d, word %x", total, word.Load())
	}
}

func TestLockSurvivesHolder(t *testing.T) {
	t.Parallel()
	var word atomic.Uint32
	l := ring.NewLock(&word, env(), nil)
	if ok, died := l.TryAcquire(7); !ok || died {
		t.Fatal(ok, died)
	}
	if ok, _ := l.TryAcquire(8); ok {
		t.Error("taken twice")
	}
	if l.Sweep(8) || l.Sweep(0) || l.Holder() != 7 {
		t.Error("swept for another")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.Acquire(ctx, 8); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	got := make(chan bool)
	go func() {
		died, err := l.Acquire(t.Context(), 8)
		got <- died && err == nil
	}()
	if !l.Sweep(7) {
		t.Error("not swept")
	}
	if !<-got {
		t.Error("the next was not told")
	}
	l.Release(7) // who was taken for dead changes nothing
	if l.Holder() != 8 {
		t.Error("released by another")
	}
	l.Release(8)
	if ok, died := l.TryAcquire(9); !ok || died {
		t.Error("told twice")
	}
}

// TestLockOfTheDead frees a lock that nobody sweeps for.
func TestLockOfTheDead(t *testing.T) {
	t.Parallel()
	var word atomic.Uint32
	e := env()
	e.Wait = func(*atomic.Uint32, uint32, time.Duration) { <-time.After(600 * time.Millisecond) } // as long as nobody wakes
	e.Alive = func(pid uint32) bool { return pid != 7 }
	l := ring.NewLock(&word, e, nil)
	l.TryAcquire(7)
	if died, err := l.Acquire(t.Context(), 8); !died || err != nil {
		t.Error(died, err)
	}
}

func TestCell(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 4, 8, 9, 24, 64, 100, 1000} {
		mem := zeroed(ring.CellSize(size))
		c, err := ring.NewCell(mem, size, env())
		if err != nil {
			t.Fatal(err)
		}
		in, out := bytes.Repeat([]byte{7}, size), make([]byte, size)
		if c.Load(out); !bytes.Equal(out, make([]byte, size)) {
			t.Errorf("size %d: new: %v", size, out)
		}
		if err := c.Store(t.Context(), 1, in); err != nil {
			t.Error(err)
		}
		if c.Load(out); !bytes.Equal(out, in) {
			t.Errorf("size %d: %v", size, out)
		}
		if err := c.Update(t.Context(), 1, func(b []byte) {
			for i := range b {
				b[i]++
			}
		}); err != nil {
			t.Error(err)
		}
		if c.Load(out); !bytes.Equal(out, bytes.Repeat([]byte{8}, size)) {
			t.Errorf("size %d: updated: %v", size, out)
		}
	}
	if _, err := ring.NewCell(zeroed(100), 1000, env()); !errors.Is(err, ring.ErrCorrupt) {
		t.Error(err)
	}
}

// TestCellIsNeverTorn has a value read while others write, and count in it.
func TestCellIsNeverTorn(t *testing.T) {
	t.Parallel()
	const size, writers, rounds = 96, 3, 500
	mem := zeroed(ring.CellSize(size))
	var wait, readers sync.WaitGroup
	var over atomic.Bool
	for pid := range uint32(writers) {
		wait.Go(func() {
			c, _ := ring.NewCell(mem, size, env())
			for range rounds {
				_ = c.Update(t.Context(), pid+1, func(b []byte) {
					v := binary.LittleEndian.Uint64(b) + 1
					for at := 0; at < size; at += 8 {
						binary.LittleEndian.PutUint64(b[at:], v)
					}
				})
			}
		})
	}
	readers.Go(func() {
		c, _ := ring.NewCell(mem, size, env())
		b := make([]byte, size)
		for !over.Load() {
			c.Load(b)
			for at := 8; at < size; at += 8 {
				if !bytes.Equal(b[:8], b[at:at+8]) {
					t.Errorf("torn: %v", b)
					return
				}
			}
		}
	})
	wait.Wait()
	over.Store(true)
	readers.Wait()
	c, _ := ring.NewCell(mem, size, env())
	b := make([]byte, size)
	if c.Load(b); binary.LittleEndian.Uint64(b) != writers*rounds {
		t.Errorf("counted %d", binary.LittleEndian.Uint64(b))
	}
}

// TestCellSurvivesWriter leaves the old value whole if a writer dies in the middle.
func TestCellSurvivesWriter(t *testing.T) {
	t.Parallel()
	const size = 64
	mem := zeroed(ring.CellSize(size))
	c, _ := ring.NewCell(mem, size, env())
	_ = c.Store(t.Context(), 1, bytes.Repeat([]byte{1}, size))
	died := make(chan struct{})
	go func() {
		defer close(died)
		_ = c.Update(context.Background(), 2, func(b []byte) {
			for i := range 10 {
				b[i] = 9
			}
			runtime.Goexit() // it has the lock; then somebody else releases it
		})
	}()
	<-died
	// The deferred release ran; take the lock as one that died with it.
	(*atomic.Uint32)(unsafe.Pointer(&mem[0])).Store(3)
	b := make([]byte, size)
	if c.Load(b); !bytes.Equal(b, bytes.Repeat([]byte{1}, size)) {
		t.Errorf("read %v", b)
	}
	c.Sweep(3)
	if err := c.Store(t.Context(), 1, bytes.Repeat([]byte{2}, size)); err != nil {
		t.Error(err)
	}
	if c.Load(b); b[0] != 2 || b[63] != 2 {
		t.Errorf("read %v", b)
	}
}

func TestQueue(t *testing.T) {
	t.Parallel()
	q := newQueue(t, 4, 8, 0)
	all := make([]byte, 8*8)
	for i := range 3 {
		if n, err := q.Put(t.Context(), 1, eight(uint64(i))); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n, err := q.TryPut(1, all); n != 1 || err != nil || q.Len() != 4 {
		t.Errorf("with room for one: %d, %v, %d items", n, err, q.Len())
	}
	if n, err := q.TryPut(1, all); n != 0 || err != nil {
		t.Errorf("full: %d, %v", n, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if n, err := q.Put(ctx, 1, all); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("full: %d, %v", n, err)
	}
	if n, err := q.Get(t.Context(), 2, all[:8*3]); n != 3 || err != nil || !bytes.Equal(all[:24], append(append(eight(0), eight(1)...), eight(2)...)) {
		t.Errorf("%d, %v, %v", n, err, all)
	}
	q.End()
	if _, err := q.Put(t.Context(), 1, all); !errors.Is(err, ring.ErrEnded) {
		t.Errorf("ended: %v", err)
	}
	if n, err := q.Get(t.Context(), 2, all); n != 1 || err != nil {
		t.Errorf("the last: %d, %v", n, err)
	}
	if _, err := q.Get(t.Context(), 2, all); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if _, err := q.Get(t.Context(), 2, all[:3]); err == nil {
		t.Error("an element into three bytes")
	}
}

// TestQueueManyProcesses counts every item once, in the order of who put it.
func TestQueueManyProcesses(t *testing.T) {
	t.Parallel()
	const producers, consumers, each = 3, 3, 4000
	mem := zeroed(ring.QueueSize(16, 8, 0))
	if _, err := ring.NewQueue(mem, 16, 8, 0, env()); err != nil {
		t.Fatal(err)
	}
	var put, got sync.WaitGroup
	for p := range uint32(producers) {
		put.Go(func() {
			q, rng := process(t, mem), rand.New(rand.NewPCG(uint64(p), 1))
			q.Spin = time.Microsecond
			for i := 0; i < each; {
				var b []byte
				for range 1 + rng.IntN(5) {
					if i < each {
						b = append(b, eight(uint64(p)<<32|uint64(i))...)
						i++
					}
				}
				if n, err := q.Put(t.Context(), 10+p, b); n != len(b)/8 || err != nil {
					t.Error(n, err)
					return
				}
			}
		})
	}
	var seen [producers][each]atomic.Bool
	for c := range uint32(consumers) {
		got.Go(func() {
			q, b := process(t, mem), make([]byte, 8*7)
			last := [producers]int64{-1, -1, -1}
			for {
				n, err := q.Get(t.Context(), 20+c, b)
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Error(err)
					}
					return
				}
				for i := range n {
					v := binary.LittleEndian.Uint64(b[8*i:])
					p, at := v>>32, int64(uint32(v))
					if at <= last[p] || seen[p][at].Swap(true) {
						t.Errorf("item %d of %d behind %d, or twice", at, p, last[p])
					}
					last[p] = at
				}
				if err := q.Done(20+c, n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	put.Wait()
	q := process(t, mem)
	if err := q.Join(t.Context()); err != nil {
		t.Error(err)
	}
	q.End()
	got.Wait()
	for p := range seen {
		for i := range seen[p] {
			if !seen[p][i].Load() {
				t.Fatalf("item %d of %d is lost", i, p)
			}
		}
	}
}

// TestQueueOfAnySize compares with a list, under random items.
func TestQueueOfAnySize(t *testing.T) {
	t.Parallel()
	err := quick.Check(func(seed uint64) bool {
		rng := rand.New(rand.NewPCG(seed, 2))
		q := newQueue(t, 1+rng.IntN(6), 0, 64+rng.IntN(200))
		var list [][]byte
		for range 300 {
			if rng.IntN(2) == 0 {
				item := bytes.Repeat([]byte{byte(rng.Uint32())}, rng.IntN(64))
				ok, err := q.TryPutItem(1, item)
				if err != nil {
					t.Error(err)
					return false
				}
				if ok {
					list = append(list, item)
				} else if len(list) == 0 {
					t.Errorf("%d bytes do not fit an empty queue", len(item))
					return false
				}
				continue
			}
			var got []byte
			ok, err := q.TryGetItem(2, func(b []byte) error { got = bytes.Clone(b); return nil })
			if err != nil || ok != (len(list) > 0) || ok && !bytes.Equal(got, list[0]) {
				t.Errorf("got %v, %v, %v, want of %v", got, ok, err, list)
				return false
			}
			if ok {
				list = list[1:]
			}
		}
		return q.Len() == len(list)
	}, nil)
	if err != nil {
		t.Error(err)
	}
	q := newQueue(t, 4, 0, 64)
	if err := q.PutItem(t.Context(), 1, make([]byte, 65)); err == nil {
		t.Error("more than the arena")
	}
	stop := errors.New("stop")
	_ = q.PutItem(t.Context(), 1, []byte("abc"))
	if err := q.GetItem(t.Context(), 2, func([]byte) error { return stop }); !errors.Is(err, stop) || q.Len() != 1 {
		t.Errorf("%v, %d left", err, q.Len())
	}
	if err := q.GetItem(t.Context(), 2, func([]byte) error { return nil }); err != nil || q.Len() != 0 {
		t.Errorf("%v, %d left", err, q.Len())
	}
}

// TestQueueBlocks has small queues of items of any size with many who wait.
func TestQueueBlocks(t *testing.T) {
	t.Parallel()
	mem := zeroed(ring.QueueSize(3, 0, 40))
	if _, err := ring.NewQueue(mem, 3, 0, 40, env()); err != nil {
		t.Fatal(err)
	}
	var wait, got sync.WaitGroup
	var sum atomic.Int64
	for p := range uint32(3) {
		wait.Go(func() {
			q := process(t, mem)
			for i := range 1000 {
				if err := q.PutItem(t.Context(), 1+p, make([]byte, i%30)); err != nil {
					t.Error(err)
				}
			}
		})
		got.Go(func() {
			q := process(t, mem)
			for {
				err := q.GetItem(t.Context(), 10+p, func(b []byte) error { sum.Add(int64(len(b)) + 1); return nil })
				if err != nil {
					return
				}
			}
		})
	}
	wait.Wait()
	process(t, mem).End()
	got.Wait()
	want := int64(0)
	for i := range 1000 {
		want += 3 * int64(i%30+1)
	}
	if sum.Load() != want {
		t.Errorf("%d, want %d", sum.Load(), want)
	}
}

// TestQueueSurvives has a process die at each step of its work; the words are as it would
// leave them.
func TestQueueSurvives(t *testing.T) {
	t.Parallel()
	const dead, getLock, putLock, head, tail, takers = 7, 128, 64, 256, 192, 640
	word32 := func(mem []byte, off int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&mem[off])) }
	word64 := func(mem []byte, off int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&mem[off])) }
	for name, tc := range map[string]struct {
		break_    func(mem []byte)
		len, lost int
	}{
		"putting, not published": {func(mem []byte) { word32(mem, putLock).Store(dead) }, 4, 0},
		"putting, published":     {func(mem []byte) { word32(mem, putLock).Store(dead); word64(mem, tail).Add(1) }, 5, 0},
		"waiting to get":         {func(mem []byte) { word32(mem, getLock).Store(dead | 1<<31) }, 4, 0},
		"taking, not taken": {func(mem []byte) {
			word32(mem, getLock).Store(dead)
			word32(mem, takers).Store(dead)
			word64(mem, takers+16).Store(0)
			word64(mem, takers+8).Store(2)
		}, 4, 0},
		"taking, taken": {func(mem []byte) {
			word32(mem, getLock).Store(dead)
			word32(mem, takers).Store(dead)
			word64(mem, takers+8).Store(2)
			word64(mem, head).Add(2)
		}, 2, 2},
		"holding": {func(mem []byte) {
			word32(mem, takers).Store(dead)
			word64(mem, takers+8).Store(3 << 32)
			word64(mem, head).Add(3)
		}, 1, 3},
		"holding, and taking more": {func(mem []byte) {
			word32(mem, getLock).Store(dead)
			word32(mem, takers).Store(dead)
			word64(mem, head).Add(3)
			word64(mem, takers+16).Store(3)
			word64(mem, takers+8).Store(3<<32 | 1)
		}, 1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mem := zeroed(ring.QueueSize(8, 8, 0))
			q, err := ring.NewQueue(mem, 8, 8, 0, env())
			if err != nil {
				t.Fatal(err)
			}
			for i := range 4 {
				_, _ = q.Put(t.Context(), 1, eight(uint64(i)))
			}
			tc.break_(mem)
			q.Sweep(dead)
			q.Sweep(dead) // twice is fine
			if q.Len() != tc.len {
				t.Errorf("%d items, want %d", q.Len(), tc.len)
			}
			if n, err := q.TryPut(1, eight(9)); n != 1 || err != nil {
				t.Errorf("put: %d, %v", n, err)
			}
			b := make([]byte, 8*8)
			n, err := q.Get(t.Context(), 2, b)
			if n != tc.len+1 || err != nil {
				t.Errorf("got %d, %v", n, err)
			}
			if err := q.Done(2, n); err != nil {
				t.Error(err)
			}
			var lost *ring.LostError
			err = q.Join(t.Context())
			if tc.lost == 0 && err != nil || tc.lost > 0 && (!errors.As(err, &lost) || lost.Items != tc.lost || lost.PID != dead) {
				t.Errorf("joined with %v, want %d lost", err, tc.lost)
			}
		})
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	q := newQueue(t, 4, 8, 0)
	if err := q.Join(t.Context()); err != nil {
		t.Errorf("an empty one: %v", err)
	}
	if err := q.Done(2, 1); err == nil {
		t.Error("done with nothing")
	}
	_, _ = q.Put(t.Context(), 1, eight(1))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- q.Join(ctx) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	go func() { ended <- q.Join(t.Context()) }()
	if _, err := q.Get(t.Context(), 2, make([]byte, 8)); err != nil {
		t.Error(err)
	}
	if err := q.Done(2, 2); err == nil {
		t.Error("more done than taken")
	}
	if err := q.Done(2, 1); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestQueueRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string][3]int{
		"no slots": {0, 8, 0}, "negative": {4, -1, 0}, "no arena": {4, 0, 0}, "too many": {1 << 40, 8, 0}, "overflow": {1 << 32, 1 << 31, 0},
	} {
		if n := ring.QueueSize(tc[0], tc[1], tc[2]); n != 0 {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
	if _, err := ring.NewQueue(zeroed(100), 8, 8, 0, env()); err == nil {
		t.Error("in too little memory")
	}
	if _, err := ring.OpenQueue(zeroed(1<<16), env()); !errors.Is(err, ring.ErrCorrupt) {
		t.Errorf("no queue: %v", err)
	}
}

// FuzzQueueGarbage has a peer write anything into a queue: errors, no panic, no hang.
func FuzzQueueGarbage(f *testing.F) {
	f.Add(uint64(1), uint16(200), uint64(1<<40), true)
	f.Add(uint64(2), uint16(256), uint64(3), false)
	f.Add(uint64(3), uint16(8), uint64(1<<63), true)
	f.Fuzz(func(t *testing.T, seed uint64, at uint16, v uint64, sized bool) {
		elem, arena := 8, 0
		if !sized {
			elem, arena = 0, 256
		}
		mem := zeroed(ring.QueueSize(8, elem, arena))
		q, err := ring.NewQueue(mem, 8, elem, arena, env())
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(seed, 3))
		for i := range 50 {
			if i == 25 {
				binary.LittleEndian.PutUint64(mem[int(at)%(len(mem)-8):], v)
			}
			switch {
			case rng.IntN(2) == 0 && sized:
				_, _ = q.TryPut(1, make([]byte, 8*rng.IntN(10)))
			case sized:
				_, _ = q.TryGet(2, make([]byte, 8*(1+rng.IntN(9))))
			case rng.IntN(2) == 0:
				_, _ = q.TryPutItem(1, make([]byte, rng.IntN(300)))
			default:
				_, _ = q.TryGetItem(2, func([]byte) error { return nil })
			}
			_ = q.Len()
		}
		q.Sweep(1)
		q.Sweep(uint32(v))
		_, _ = ring.OpenQueue(mem, env())
	})
}

func BenchmarkQueue(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprintf("batch %d", batch), func(b *testing.B) {
			mem := zeroed(ring.QueueSize(1024, 8, 0))
			q, err := ring.NewQueue(mem, 1024, 8, 0, env())
			if err != nil {
				b.Fatal(err)
			}
			q.Spin = time.Millisecond
			done := make(chan struct{})
			go func() {
				defer close(done)
				r, dst := process(b, mem), make([]byte, 8*batch)
				r.Spin = time.Millisecond
				for {
					if _, err := r.Get(context.Background(), 2, dst); err != nil {
						return
					}
				}
			}()
			src := make([]byte, 8*batch)
			n := 0
			for b.Loop() {
				if _, err := q.Put(context.Background(), 1, src); err != nil {
					b.Fatal(err)
				}
				n += batch
			}
			q.End()
			<-done
			b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Mitems/s")
		})
	}
}
