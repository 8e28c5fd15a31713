package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Both calls below return at once, whatever happens. So they may go round the scheduler, which is told of system calls
// that could block; one that does block must not: it would hold up the collector.

var oneRing uint64 = 1

// ringBell adds to an eventfd's counter. It fails only on a full one, which has rung anyway.
func ringBell(fd uintptr) {
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&oneRing)), unsafe.Sizeof(oneRing))
}

// takeRings sets an eventfd's counter to 0 and gives EAGAIN if it was.
func takeRings(fd uintptr) syscall.Errno {
	var rings uint64
	_, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&rings)), unsafe.Sizeof(rings))
	return errno
}
