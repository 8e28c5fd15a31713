//go:build !linux

package sys

import (
	"errors"
	"fmt"
	"os"
)

// HasLanes reports whether lanes can be had here: rings in shared memory and a bell for who sleeps.
const HasLanes = false

var errNoBell = fmt.Errorf("a bell between processes is not offered here: %w", errors.ErrUnsupported)

// Bell is not offered here: none can be made.
type Bell struct{}

// NewBell is not offered here.
func NewBell() (*Bell, error) { return nil, errNoBell }

// OpenBell is not offered here; f is closed on return.
func OpenBell(f *os.File) (*Bell, error) {
	_ = f.Close()
	return nil, errNoBell
}

// Ring does nothing.
func (b *Bell) Ring() {}

// Listen is not offered here.
func (b *Bell) Listen() error { return errNoBell }

// Wait is not offered here.
func (b *Bell) Wait() error { return errNoBell }

// Hold is not offered here.
func (b *Bell) Hold() (*os.File, error) { return nil, errNoBell }

// Close does nothing.
func (b *Bell) Close() error { return nil }
