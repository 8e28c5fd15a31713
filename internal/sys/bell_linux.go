package sys

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

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

	heard *os.File // the same descriptor, in the netpoller; nil: nobody listens
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

// Listen has this process's netpoller take the bell. It is to be called before Wait, once, so that what the system refuses is
// refused where something can be done about it.
func (b *Bell) Listen() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.fd < 0:
		return os.ErrClosed
	case b.heard != nil:
		return nil
	}
	f := os.NewFile(uintptr(b.fd), "xme-bell")
	b.heard = f // which closes the descriptor from now on
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("wait for an eventfd: %w", err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	b.wait = func(fd uintptr) bool {
		b.errno = takeRings(fd)
		return b.errno != unix.EAGAIN
	}
	b.raw = raw
	return nil
}

// Wait blocks until the bell has been rung since the last Wait returned; any number of rings count as one. Close ends it
// with os.ErrClosed, and so does any Wait after it. One goroutine of one process may wait at a time, after Listen.
//
// What a process wrote to shared memory before Ring is seen after the Wait that it ends.
func (b *Bell) Wait() error {
	if b.raw == nil {
		panic("sys: Wait for a bell that nobody listens to")
	}
	if err := b.raw.Read(b.wait); err != nil {
		if b.closed() {
			return os.ErrClosed // os gives an error of an internal package
		}
		return err
	}
	if b.errno != 0 {
		return os.NewSyscallError("read", b.errno)
	}
	return nil
}

func (b *Bell) closed() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.fd < 0
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
	switch {
	case fd < 0:
		return nil
	case heard != nil:
		return heard.Close()
	}
	return os.NewSyscallError("close", unix.Close(fd))
}
