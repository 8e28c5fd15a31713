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
