//go:build unix

package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// Duplicate returns another descriptor of an open file, close-on-exec, under the
// given name. Both share the open file: its position, its locks, whether it blocks.
func Duplicate(f *os.File, name string) (*os.File, error) {
	fd, err := duplicate(f)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// duplicate returns another descriptor of an open file, close-on-exec.
func duplicate(f *os.File) (int, error) {
	fd, dupErr := -1, error(nil)
	err := control(f, func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil {
		return -1, err
	}
	return fd, os.NewSyscallError("fcntl", dupErr)
}
