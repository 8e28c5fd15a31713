//go:build unix

package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// Duplicate returns another descriptor of an open file, close-on-exec, under the
// given name. File.Fd is not used because it makes a file blocking, for everyone
// who shares it.
func Duplicate(f *os.File, name string) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, os.NewSyscallError("fcntl", dupErr)
	}
	return os.NewFile(uintptr(fd), name), nil
}
