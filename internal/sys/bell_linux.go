package sys

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// HasLanes reports whether lanes can be had here: rings in shared memory and a bell for who sleeps.
const HasLanes = true

// Bell wakes one goroutine of this or another process: an eventfd that is waited for through the netpoller, so that no
// thread is held. Its descriptor is close-on-exec and does not block.
//
// A process that only rings a bell keeps it out of its netpoller, which would wake one of its threads whenever anybody
// rings or is heard: all workers of a pool have the driver's bells.
type Bell struct {
	mu sync.RWMutex // held while fd is used
	fd int          // -1: closed

	heard *os.File // the same, in the netpoller, from the first Wait on
	raw   syscall.RawConn
	wait  func(fd uintptr) bool // made once, so that Wait does not allocate
	errno syscall.Errno         // of the last wait; the waiting goroutine's
}

// NewBell makes a bell that has not been rung.
func NewBell() (*Bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &Bell{fd: fd}, nil
}

// OpenBell opens a bell that another process has made. It takes f over, also when it fails.
func OpenBell(f *os.File) (*Bell, error) {
	fd, err := duplicate(f)
	_ = f.Close()
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &Bell{fd: fd}, nil
}

// Ring ends the present Wait, or else the next one at once. It never blocks, and any goroutine may call it; after Close
// it does nothing. It costs one system call.
func (b *Bell) Ring() {
	b.mu.RLock()
	if b.fd >= 0 {
		ringBell(uintptr(b.fd))
	}
	b.mu.RUnlock()
}

// Wait blocks until the bell has been rung since the last Wait returned; any number of rings count as one. Close ends it
// with os.ErrClosed. One goroutine of one process may wait at a time.
//
// What a process wrote to shared memory before Ring is seen after the Wait that it ends.
func (b *Bell) Wait() error {
	if b.raw == nil {
		if err := b.join(); err != nil {
			return err
		}
	}
	if err := b.raw.Read(b.wait); err != nil {
		return os.ErrClosed // os gives an error of an internal package
	}
	if b.errno != 0 {
		return os.NewSyscallError("read", b.errno)
	}
	return nil
}

// join has the bell in the netpoller, by a descriptor of its own.
func (b *Bell) join() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd < 0 {
		return os.ErrClosed
	}
	fd, err := unix.FcntlInt(uintptr(b.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(fd), "xme-bell")
	raw, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return err
	}
	b.wait = func(fd uintptr) bool {
		b.errno = takeRings(fd)
		return b.errno != unix.EAGAIN
	}
	b.heard, b.raw = f, raw
	return nil
}

// Hold returns the bell for passing it to another process, which opens it; whoever has it closes it.
func (b *Bell) Hold() (*os.File, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.fd < 0 {
		return nil, os.ErrClosed
	}
	fd, err := unix.FcntlInt(uintptr(b.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "xme-bell"), nil
}

// Close ends Wait, any number of times. Whoever else has the bell keeps it.
func (b *Bell) Close() error {
	b.mu.Lock()
	fd, heard := b.fd, b.heard
	b.fd = -1
	b.mu.Unlock()
	if fd < 0 {
		return nil
	}
	err := os.NewSyscallError("close", unix.Close(fd))
	if heard != nil {
		err = errors.Join(err, heard.Close())
	}
	return err
}
