package shm

import (
	"context"
	"os"

	"github.com/xenonmp/xme/internal/park"
)

// waits is how what processes share is slept on.
type waits = park.Waits

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
