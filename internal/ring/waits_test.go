package ring_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/ring"
)

// parks is a futex for one process: whoever waits is woken by Wake only, or after d. So
// a wake-up that is lost shows as a test that takes for ever.
type parks struct {
	mu      sync.Mutex
	parked  map[*atomic.Uint32][]chan struct{}
	patient bool // d is not looked at
	wakes   atomic.Int64
	most    atomic.Int64 // the n of the last Wake
}

func newParks() *parks { return &parks{parked: map[*atomic.Uint32][]chan struct{}{}, patient: true} }

func (p *parks) Wait(word *atomic.Uint32, old uint32, d time.Duration) {
	p.mu.Lock()
	if word.Load() != old {
		p.mu.Unlock()
		return
	}
	woken := make(chan struct{})
	p.parked[word] = append(p.parked[word], woken)
	p.mu.Unlock()
	if p.patient {
		<-woken
		return
	}
	select {
	case <-woken:
	case <-time.After(d):
	}
}

func (p *parks) Wake(word *atomic.Uint32, n int) {
	p.wakes.Add(1)
	p.most.Store(int64(n))
	p.mu.Lock()
	defer p.mu.Unlock()
	n = min(n, len(p.parked[word]))
	for _, c := range p.parked[word][:n] {
		close(c)
	}
	p.parked[word] = p.parked[word][n:]
}

// sleepers returns how many wait on the word.
func (p *parks) sleepers(word *atomic.Uint32) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.parked[word])
}

// await waits until n wait on the word.
func (p *parks) await(t testing.TB, word *atomic.Uint32, n int) {
	t.Helper()
	awaitThat(t, func() bool { return p.sleepers(word) >= n })
}

func awaitThat(t testing.TB, so func() bool) {
	t.Helper()
	for start := time.Now(); !so(); runtime.Gosched() {
		if time.Since(start) > patience {
			t.Fatal("it does not come to that")
		}
	}
}

// patience is how long a test waits before it says that something hangs.
const patience = time.Minute

// bounded is a context that ends only if something hangs, which is an error, though the
// end may then help it on.
func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	hangs := time.AfterFunc(patience, func() {
		t.Error("it hangs")
		cancel()
	})
	t.Cleanup(func() {
		hangs.Stop()
		cancel()
	})
	return ctx
}

// polls looks again and again.
type polls struct{}

func (polls) Wait(word *atomic.Uint32, old uint32, _ time.Duration) {
	for range 100 {
		if word.Load() != old {
			return
		}
		runtime.Gosched()
	}
}

func (polls) Wake(*atomic.Uint32, int) {}

var _ ring.Waits = polls{}

// ended is a context that has ended.
func ended(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
