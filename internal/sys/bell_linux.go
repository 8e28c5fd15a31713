package sys

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// HasLanes reports whether lanes can be had here: rings in shared memory and a bell for who sleeps.
const HasLanes = true

// Bell wakes one goroutine of this or another process: an eventfd that is waited for through the netpoller, so that no
// thread is held. Its descriptor is close-on-exec and does not block.
type Bell struct {
	f   *os.File
	raw syscall.RawConn

	wait  func(fd uintptr) bool // made once, so that Wait does not allocate
	errno syscall.Errno         // of the last wait; the waiting goroutine's

	close  sync.Once
	closed atomic.Bool
	err    error
}

// NewBell makes a bell that has not been rung.
func NewBell() (*Bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return bellOf(fd)
}

// OpenBell opens a bell that another process has made. It takes f over, also when it fails.
func OpenBell(f *os.File) (*Bell, error) {
	fd, err := duplicate(f) // an open File that is not in the netpoller cannot join it
	_ = f.Close()
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return bellOf(fd)
}

func bellOf(fd int) (*Bell, error) {
	b := &Bell{f: os.NewFile(uintptr(fd), "xme-bell")}
	var err error
	if b.raw, err = b.f.SyscallConn(); err != nil {
		_ = b.f.Close()
		return nil, err
	}
	b.wait = func(fd uintptr) bool {
		b.errno = takeRings(fd)
		return b.errno != unix.EAGAIN
	}
	return b, nil
}

// Ring ends the present Wait, or else the next one at once. It never blocks, and any goroutine may call it; after Close
// it does nothing. It costs one system call.
func (b *Bell) Ring() { _ = b.raw.Control(ringBell) }

// Wait blocks until the bell has been rung since the last Wait returned; any number of rings count as one. Close ends it
// with os.ErrClosed. One goroutine of one process may wait at a time.
//
// What a process wrote to shared memory before Ring is seen after the Wait that it ends.
func (b *Bell) Wait() error {
	err := b.raw.Read(b.wait)
	switch {
	case err != nil && b.closed.Load():
		return os.ErrClosed
	case err != nil:
		return err
	case b.errno != 0:
		return os.NewSyscallError("read", b.errno)
	}
	return nil
}

// File returns the descriptor, for passing to another process. It belongs to b.
func (b *Bell) File() *os.File { return b.f }

// Close ends Wait, any number of times. Whoever else has the bell keeps it.
func (b *Bell) Close() error {
	b.close.Do(func() {
		b.closed.Store(true)
		b.err = b.f.Close()
	})
	return b.err
}
