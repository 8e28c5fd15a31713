//go:build unix

package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// TooManyFiles reports whether err says that this process, or the system, can open
// no more files now.
func TooManyFiles(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}

// NoProcess reports whether err says that a process has ended.
func NoProcess(err error) bool {
	return errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrProcessDone)
}
