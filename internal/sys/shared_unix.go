//go:build unix

package sys

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// HasShared reports whether processes can share memory here.
const HasShared = true

// mapping is a file's memory, mapped.
type mapping struct {
	mu sync.Mutex
	b  []byte   // nil once closed
	f  *os.File // nil where it was opened
}

// Bytes returns the memory, nil after Close. To touch it after Close is a fault that ends the process: who calls Close
// has seen to it that nobody does.
func (m *mapping) Bytes() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b
}

// File returns the descriptor, for passing to another process: nil where the memory was opened, closed after Close. It
// belongs to the Shared.
func (m *mapping) File() *os.File {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.f
}

// Close unmaps the memory and closes the descriptor. The memory itself lives until the last process has let go of it.
func (m *mapping) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.b == nil {
		return nil
	}
	err := unix.Munmap(m.b)
	m.b = nil
	if m.f != nil {
		_ = m.f.Close()
	}
	return os.NewSyscallError("munmap", err)
}

// mapShared maps the first size bytes of f.
func mapShared(f *os.File, size int, writable bool) (b []byte, err error) {
	prot := unix.PROT_READ
	if writable {
		prot |= unix.PROT_WRITE
	}
	var mapErr error
	err = control(f, func(fd uintptr) { b, mapErr = unix.Mmap(int(fd), 0, size, prot, unix.MAP_SHARED) })
	if err == nil {
		err = os.NewSyscallError("mmap", mapErr)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// fitsFileLimit returns an error if no file may be that large: to write one would end this process by SIGXFSZ.
func fitsFileLimit(size int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err == nil && exceeds(size, limit.Cur) {
		return fmt.Errorf("shared memory of %d bytes, and the limit on files is %d: %w", size, limit.Cur, unix.EFBIG)
	}
	return nil
}

// exceeds compares with a limit, whose type differs by system.
func exceeds[L int64 | uint64](size int, limit L) bool { return L(size) > limit }
