package ring_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/sys"
)

// futex is what processes wait with.
type futex struct{}

func (futex) Wait(word *atomic.Uint32, old uint32, d time.Duration) {
	_ = sys.FutexWait(word, old, d)
}

func (futex) Wake(word *atomic.Uint32, n int) { _, _ = sys.FutexWake(word, n) }

// Everything that is put arrives, with real futexes.
func TestQueueFutex(t *testing.T) {
	t.Parallel()
	for _, arena := range []int{0, 200} {
		t.Run(fmt.Sprint("arena ", arena), func(t *testing.T) {
			t.Parallel()
			const each, sides = 2000, 3
			q, mem := queueOf(t, 4, arena, futex{})
			var putters, getters sync.WaitGroup
			var got atomic.Int64
			for i := range uint32(sides) {
				putters.Go(func() { produce(t, opened(t, mem, futex{}), 1+i, each, arena == 0) })
				getters.Go(func() { got.Add(int64(len(consume(t, opened(t, mem, futex{}), 100+i, arena == 0)))) })
			}
			putters.Wait()
			must(t, q.Join(bounded(t)))
			q.End()
			getters.Wait()
			if got.Load() != sides*each {
				t.Errorf("got %d of %d", got.Load(), sides*each)
			}
		})
	}
}

// BenchmarkQueueAnswer sends an element to and fro, with real futexes.
func BenchmarkQueueAnswer(b *testing.B) {
	for _, spin := range []time.Duration{0, 20 * time.Microsecond} {
		b.Run(fmt.Sprint("spin ", spin), func(b *testing.B) {
			var ask, answer [2]*ring.Queue
			for _, q := range []*[2]*ring.Queue{&ask, &answer} {
				first, mem := queueOf(b, 8, 0, futex{})
				*q = [2]*ring.Queue{first, opened(b, mem, futex{})}
				q[0].Spin, q[1].Spin = spin, spin
			}
			go func() {
				buf := make([]byte, 8)
				for {
					if _, err := ask[1].GetFixed(b.Context(), 2, buf); err != nil {
						return
					}
					_, _ = answer[0].PutFixed(b.Context(), 2, buf)
				}
			}()
			buf := make([]byte, 8)
			for b.Loop() {
				_, _ = ask[0].PutFixed(b.Context(), 1, buf)
				_, _ = answer[1].GetFixed(b.Context(), 1, buf)
			}
			ask[0].End()
		})
	}
}
