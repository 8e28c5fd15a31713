package shm

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/sys"
)

// turn is a lock among the goroutines of one process, which one of them takes before it
// waits for other processes: so a process has one thread asleep for each side of a queue,
// however many goroutines wait. A goroutine that waits for its turn stops when its ctx
// ends.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	default:
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) try() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

func (t turn) give() { <-t }

// me is what this process is called in shared memory.
var me = uint32(os.Getpid())

// waits is how one waits for a word in shared memory to change.
type waits struct{}

// Wait implements ring.Waits.
func (waits) Wait(word *atomic.Uint32, old uint32, d time.Duration) {
	if !errors.Is(sys.FutexWait(word, old, d), errors.ErrUnsupported) {
		return
	}
	// There is nothing to sleep on: look again after a while, longer each time.
	for pause, end := pollFirst, time.Now().Add(d); word.Load() == old && time.Now().Before(end); pause = min(2*pause, pollLast) {
		<-time.After(pause)
	}
}

const (
	pollFirst = 20 * time.Microsecond
	pollLast  = time.Millisecond
)

// Wake implements ring.Waits.
func (waits) Wake(word *atomic.Uint32, n int) { _, _ = sys.FutexWake(word, n) }
