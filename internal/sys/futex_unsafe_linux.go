package sys

import (
	"os"
	"sync"
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

// MostFutexes is how many words FutexWaitAny waits for at most.
const MostFutexes = 128

// Futex is a word to wait for, and what it must be to do so.
type Futex struct {
	Word *atomic.Uint32
	Old  uint32
}

// futexWaitv is struct futex_waitv of linux/futex.h.
type futexWaitv struct {
	val, addr uint64
	flags     uint32
	_         uint32
}

const futex32 = 2 // FUTEX_32: shared words of 32 bits

// FutexWaitAny blocks as FutexWait does while all of 1 to MostFutexes words are what they were: it holds one thread for
// all of them. It returns which was woken, one of them if several were, or -1. The kernel has it since 5.16; without it the
// error is of ENOSYS, or what a filter says.
func FutexWaitAny(words []Futex, timeout time.Duration) (woken int, err error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return -1, os.NewSyscallError("clock_gettime", err)
	}
	end := now.Nano() + int64(max(timeout, 0))
	until := [2]int64{end / int64(time.Second), end % int64(time.Second)} // struct __kernel_timespec, alike on all machines
	var buf [MostFutexes]futexWaitv
	for i, w := range words {
		buf[i] = futexWaitv{val: uint64(w.Old), addr: uint64(uintptr(unsafe.Pointer(w.Word))), flags: futex32}
	}
	at, _, errno := unix.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(&buf)), uintptr(len(words)), 0,
		uintptr(unsafe.Pointer(&until)), unix.CLOCK_MONOTONIC, 0)
	switch errno {
	case 0:
		return int(at), nil
	case unix.EAGAIN, unix.EINTR:
		return -1, nil
	case unix.ETIMEDOUT:
		return -1, os.ErrDeadlineExceeded
	}
	return -1, os.NewSyscallError("futex_waitv", errno)
}

// HasFutexWaitAny reports whether FutexWaitAny is offered here.
var HasFutexWaitAny = sync.OnceValue(func() bool {
	word := new(atomic.Uint32)
	_, err := FutexWaitAny([]Futex{{word, 1}}, time.Millisecond)
	return err == nil // the word is another: it returns at once
})
