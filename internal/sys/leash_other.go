//go:build unix && !linux

package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Leash holds nothing here: a worker notices the end of its link.
type Leash struct{}

// NewLeash makes a leash that holds nothing.
func NewLeash() (l *Leash, inherit *os.File, err error) { return &Leash{}, nil, nil }

// Attach does nothing here.
func (l *Leash) Attach(int) error { return nil }

// Kill ends the worker pid and what it started, as far as that has not left its process group. It must run before pid
// is reaped, or the number may be somebody else's. A group that is gone already is no error.
func (l *Leash) Kill(pid int) error {
	if err := KillGroup(pid); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// Close does nothing here.
func (l *Leash) Close() error { return nil }
