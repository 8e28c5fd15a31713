//go:build unix && !linux

package sys

import "os"

// Shared is memory that two processes map: a file that has no name, see its methods for what the system does not
// enforce. A peer that maps it writable can write anything, at any time. Every method may be called from any goroutine.
type Shared struct{ *sharedFile }

// NewShared makes size bytes, rounded up to whole pages, of zeroed shared memory and maps it writable. The space is
// taken from the disk of os.TempDir at once: where there is too little, the error says so now and no access fails
// later. To fill it costs what writing a file does.
func NewShared(size int) (*Shared, error) {
	s, err := newSharedFile(size)
	if err != nil {
		return nil, err
	}
	return &Shared{s}, nil
}

// OpenShared maps what another process has made with the same size: a file that is not as large as it should be gives
// an error. Nothing keeps a peer that can write to it from cutting it short. Not writable, the memory cannot be written
// through this mapping. f is closed on return.
func OpenShared(f *os.File, size int, writable bool) (*Shared, error) {
	s, err := openSharedFile(f, size, writable)
	if err != nil {
		return nil, err
	}
	return &Shared{s}, nil
}
