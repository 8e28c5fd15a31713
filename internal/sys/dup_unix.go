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

// control calls do with the descriptor of an open file, which stays open
// meanwhile; a closed one gives os.ErrClosed. File.Fd is not used because it makes
// a file blocking, for everyone who shares it.
func control(f *os.File, do func(fd uintptr)) error {
	raw, err := f.SyscallConn()
	if err == nil && raw.Control(do) != nil {
		err = os.ErrClosed // os gives an error of an internal package
	}
	return err
}

// Hold duplicates an open file as Duplicate does, for passing it on: what it returns, and what a Stream
// receives, is to be sent, opened as shared memory, closed by Release, or made Usable.
func Hold(f *os.File, name string) (*os.File, error) { return Duplicate(f, name) }

// Usable makes a file that can be read and written, under the given name, of one that is held, which it takes
// over; after an error that is as it was.
func Usable(f *os.File, name string) (*os.File, error) {
	if f.Name() == name {
		return f, nil
	}
	named, err := Duplicate(f, name)
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	return named, nil
}

// Release closes a file that is held, or any other.
func Release(f *os.File) error { return f.Close() }
