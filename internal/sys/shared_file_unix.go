//go:build unix

package sys

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// sharedFile is shared memory where the kernel makes no files in memory: a file without a name in os.TempDir. There are
// no seals. Who has a descriptor for writing can cut the file short, and an access of anybody's ends in SIGBUS then: it
// is for peers that are trusted so far; File is for reading only once SealFutureWrite has been called. The system writes
// what has been changed to the disk when it pleases.
type sharedFile struct {
	mapping
	reader *os.File // the same file opened for reading; nil where it was opened, and once sealed
}

// newSharedFile makes size bytes, rounded up to whole pages, of zeroed memory and maps it writable. The space on the
// disk is taken at once: where there is too little, the error says so now and no access fails later.
func newSharedFile(size int) (*sharedFile, error) {
	size, err := sharedSize(size)
	if err != nil {
		return nil, err
	}
	if err := fitsFileLimit(size); err != nil {
		return nil, err
	}
	f, reader, err := unnamedFile()
	if err != nil {
		return nil, err
	}
	var b []byte
	if err = fill(f, size); err == nil {
		b, err = mapShared(f, size, true)
	}
	if err != nil {
		_, _ = f.Close(), reader.Close()
		return nil, err
	}
	return &sharedFile{mapping: mapping{b: b, f: f}, reader: reader}, nil
}

// openSharedFile maps what another process has made with the same size; a file of another size gives an error. Not
// writable, the memory cannot be written through this mapping. f is closed on return.
func openSharedFile(f *os.File, size int, writable bool) (*sharedFile, error) {
	defer func() { _ = f.Close() }()
	size, err := sharedSize(size)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	var statErr error
	err = control(f, func(fd uintptr) { statErr = unix.Fstat(int(fd), &st) })
	switch {
	case err != nil:
		return nil, err
	case statErr != nil:
		return nil, os.NewSyscallError("fstat", statErr)
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, errors.New("not shared memory: no regular file")
	case st.Size != int64(size):
		return nil, wrongSize(st.Size, size)
	}
	b, err := mapShared(f, size, writable)
	if err != nil {
		return nil, err
	}
	return &sharedFile{mapping: mapping{b: b}}, nil
}

// Close unmaps the memory and closes the descriptors. The memory itself lives until the last process has let go of it.
func (s *sharedFile) Close() error {
	s.mu.Lock()
	reader := s.reader
	s.reader = nil
	s.mu.Unlock()
	if reader != nil {
		_ = reader.Close()
	}
	return s.mapping.Close()
}

// Prefault maps every page into this process, so that no first touch costs.
func (s *sharedFile) Prefault() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b != nil {
		_ = touch(s.b)
	}
}

// SealFutureWrite has File return a descriptor for reading only, through which no writable mapping can be made; the one
// it has returned before is closed. Mappings that exist stay as they are, and where a descriptor for writing has been
// passed already it goes on to be one. No further seal can be set.
func (s *sharedFile) SealFutureWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.b == nil:
		return os.ErrClosed
	case s.reader == nil:
		return fmt.Errorf("seal shared memory: %w", unix.EPERM)
	}
	_ = s.f.Close()
	s.f, s.reader = s.reader, nil
	return nil
}

// Seal keeps any further seal from being set.
func (s *sharedFile) Seal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b == nil {
		return os.ErrClosed
	}
	if s.reader != nil {
		_ = s.reader.Close()
		s.reader = nil
	}
	return nil
}

// unnamedFile makes an empty file that nobody else can open, and opens it for reading besides.
func unnamedFile() (f, reader *os.File, err error) {
	f, err = os.CreateTemp("", "xme-shared-*") // mode 0600
	if err != nil {
		return nil, nil, err
	}
	reader, err = os.Open(f.Name())
	rmErr := os.Remove(f.Name())
	if err == nil {
		err = errors.Join(rmErr, same(f, reader))
	}
	if err != nil {
		_ = f.Close()
		if reader != nil {
			_ = reader.Close()
		}
		return nil, nil, err
	}
	return f, reader, nil
}

// same returns an error if somebody has put another file where f was made.
func same(f, reader *os.File) error {
	a, err := f.Stat()
	if err != nil {
		return err
	}
	b, err := reader.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(a, b) {
		return fmt.Errorf("%s has been replaced", f.Name())
	}
	return nil
}

// fill writes zeros: what merely belongs to a file's size need not be there.
func fill(f *os.File, size int) error {
	zeros := make([]byte, min(size, 1<<20))
	for at := 0; at < size; at += len(zeros) {
		if _, err := f.WriteAt(zeros[:min(len(zeros), size-at)], int64(at)); err != nil {
			return err
		}
	}
	return nil
}
