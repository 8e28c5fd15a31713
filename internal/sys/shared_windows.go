package sys

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/windows"
)

// HasShared reports whether processes can share memory here.
const HasShared = true

// The access rights of a section.
const (
	sectionQuery    = 0x1
	sectionMapWrite = 0x2
	sectionMapRead  = 0x4
)

// Shared is memory that two processes map: a section of the paging file, whose size is fixed. A peer that maps it
// writable can write anything, at any time. Every method may be called from any goroutine.
type Shared struct {
	mu     sync.Mutex
	b      []byte   // nil once closed
	f      *os.File // nil where it was opened
	sealed bool
}

// NewShared makes size bytes, rounded up to whole pages, of zeroed shared memory and maps it writable. The memory is
// committed at once: where there is too little, the error says so now and no access fails later. The first touch of a
// page in each process still costs what mapping it does; Prefault pays that in advance.
func NewShared(size int) (*Shared, error) {
	size, err := sharedSize(size)
	if err != nil {
		return nil, err
	}
	attr, err := sealable()
	if err != nil {
		return nil, err
	}
	const secCommit = 0x8000000
	h, err := windows.CreateFileMapping(windows.InvalidHandle, attr, windows.PAGE_READWRITE|secCommit,
		uint32(uint64(size)>>32), uint32(size), nil)
	if err != nil {
		return nil, os.NewSyscallError("CreateFileMapping", err)
	}
	// Who gets the handle shall not be able to change what sealable says.
	f, err := narrowed(h, sectionQuery|sectionMapRead|sectionMapWrite)
	_ = windows.CloseHandle(h)
	if err != nil {
		return nil, err
	}
	b, err := mapSection(f, size, true)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &Shared{b: b, f: f}, nil
}

// OpenShared maps what another process has made with the same size, which it need not trust: what is no section of the
// paging file, all of it committed, or is not as large as it should be, gives an error. Not writable, the memory cannot
// be written through this mapping. f is closed on return.
func OpenShared(f *os.File, size int, writable bool) (*Shared, error) {
	defer func() { _ = Release(f) }()
	size, err := sharedSize(size)
	if err != nil {
		return nil, err
	}
	var have int64
	var queryErr error
	if err := control(f, func(fd uintptr) { have, queryErr = committedSize(windows.Handle(fd)) }); err != nil {
		return nil, err
	}
	switch {
	case queryErr != nil:
		return nil, fmt.Errorf("not shared memory: %w", queryErr)
	case have != int64(size):
		return nil, wrongSize(have, size)
	}
	b, err := mapSection(f, size, writable)
	if err != nil {
		return nil, err
	}
	return &Shared{b: b}, nil
}

// Bytes returns the memory, nil after Close. To touch it after Close is a fault that ends the process: who calls Close
// has seen to it that nobody does.
func (s *Shared) Bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b
}

// File returns the section's handle, for passing to another process and nothing else: nil where the memory was opened,
// closed after Close. It belongs to s.
func (s *Shared) File() *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.f
}

// Prefault maps every page into this process, so that no first touch costs.
func (s *Shared) Prefault() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b != nil {
		_ = touch(s.b)
	}
}

// SealFutureWrite has File return a handle for reading only, through which no writable mapping can be made, nor a handle
// that allows one; what it has returned before is closed. Mappings that exist stay as they are, and where a handle for
// writing has been passed already it goes on to be one. No further seal can be set.
func (s *Shared) SealFutureWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.b == nil:
		return os.ErrClosed
	case s.f == nil || s.sealed:
		return fmt.Errorf("seal shared memory: %w", windows.ERROR_ACCESS_DENIED)
	}
	var reader *os.File
	var err error
	if e := control(s.f, func(fd uintptr) { reader, err = narrowed(windows.Handle(fd), sectionQuery|sectionMapRead) }); e != nil {
		return e
	}
	if err != nil {
		return err
	}
	_ = s.f.Close()
	s.f, s.sealed = reader, true
	return nil
}

// Seal keeps any further seal from being set.
func (s *Shared) Seal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b == nil {
		return os.ErrClosed
	}
	s.sealed = true
	return nil
}

// Close unmaps the memory and closes the handle. The memory itself lives until the last process has let go of it.
func (s *Shared) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b == nil {
		return nil
	}
	err := unmapSection(s.b)
	s.b = nil
	if s.f != nil {
		_ = s.f.Close()
	}
	return err
}

// sealable are the attributes of a section that nobody can open anew, its owner neither: a handle for reading could be
// made one for writing otherwise, as who duplicates a handle may ask for further access, and a section without a
// security descriptor refuses none. S-1-3-4 stands for the owner, who could change the descriptor.
var sealable = sync.OnceValues(func() (*windows.SecurityAttributes, error) {
	sd, err := windows.SecurityDescriptorFromString("D:P(A;;RC;;;S-1-3-4)")
	if err != nil {
		return nil, os.NewSyscallError("ConvertStringSecurityDescriptorToSecurityDescriptor", err)
	}
	return securityAttributes(sd), nil
})

// narrowed duplicates a section's handle with less access.
func narrowed(h windows.Handle, access uint32) (*os.File, error) {
	self := windows.CurrentProcess()
	var dup windows.Handle
	if err := windows.DuplicateHandle(self, h, self, &dup, access, false, 0); err != nil {
		return nil, os.NewSyscallError("DuplicateHandle", err)
	}
	return os.NewFile(uintptr(dup), "xme-shared"), nil
}

var errNotCommitted = errors.New("no committed section of the paging file")
