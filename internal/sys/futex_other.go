//go:build !linux

package sys

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

var errNoFutex = fmt.Errorf("futexes are not offered here: %w", errors.ErrUnsupported)

// FutexWait is not offered here.
func FutexWait(*atomic.Uint32, uint32, time.Duration) error { return errNoFutex }

// FutexWake is not offered here.
func FutexWake(*atomic.Uint32, int) (int, error) { return 0, errNoFutex }

// MostFutexes is how many words FutexWaitAny waits for at most.
const MostFutexes = 128

// Futex is a word to wait for, and what it must be to do so.
type Futex struct {
	Word *atomic.Uint32
	Old  uint32
}

// FutexWaitAny is not offered here.
func FutexWaitAny([]Futex, time.Duration) (int, error) { return -1, errNoFutex }

// HasFutexWaitAny reports whether FutexWaitAny is offered here.
func HasFutexWaitAny() bool { return false }
