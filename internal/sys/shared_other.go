//go:build !linux

package sys

import (
	"errors"
	"fmt"
	"os"
)

// HasShared reports whether processes can share memory here.
const HasShared = false

var errNoShared = fmt.Errorf("shared memory is not offered here: %w", errors.ErrUnsupported)

// Shared is not offered here: none can be made.
type Shared struct{}

// NewShared is not offered here.
func NewShared(int) (*Shared, error) { return nil, errNoShared }

// OpenShared is not offered here; f is closed on return.
func OpenShared(f *os.File, _ int, _ bool) (*Shared, error) {
	_ = f.Close()
	return nil, errNoShared
}

// Bytes returns nothing.
func (s *Shared) Bytes() []byte { return nil }

// File returns nothing.
func (s *Shared) File() *os.File { return nil }

// Prefault does nothing.
func (s *Shared) Prefault() {}

// SealFutureWrite is not offered here.
func (s *Shared) SealFutureWrite() error { return errNoShared }

// Seal is not offered here.
func (s *Shared) Seal() error { return errNoShared }

// Close does nothing.
func (s *Shared) Close() error { return nil }
