package sys

import (
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The futex operations on memory that processes share (linux/futex.h); the private forms do not reach other processes.
const (
	futexWait = 0
	futexWake = 1
)

// FutexWait blocks while the word, which may be in shared memory, is old, until FutexWake or for as long as timeout,
// which gives os.ErrDeadlineExceeded. It may return earlier for no reason: look at the word again. It holds a thread.
func FutexWait(word *atomic.Uint32, old uint32, timeout time.Duration) error {
	t := unix.NsecToTimespec(int64(max(timeout, 0)))
	// Not by RawSyscall: it blocks, and the collector would wait for it.
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(old),
		uintptr(unsafe.Pointer(&t)), 0, 0)
	switch errno {
	case 0, unix.EAGAIN, unix.EINTR: // woken, it was another value, a signal came
		return nil
	case unix.ETIMEDOUT:
		return os.ErrDeadlineExceeded
	}
	return os.NewSyscallError("futex", errno)
}

// FutexWake ends up to n waits on the word and returns how many.
func FutexWake(word *atomic.Uint32, n int) (int, error) {
	woken, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, uintptr(n), 0, 0, 0)
	if errno != 0 {
		return 0, os.NewSyscallError("futex", errno)
	}
	return int(woken), nil
}
