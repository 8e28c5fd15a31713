//go:build unix

package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// ReadNow reads what is in a non-blocking file without waiting, whatever its
// deadline: 0 bytes mean that there is nothing or that it has ended.
//
// Who drains the pipe of a dead process with it bounds how often: something that
// the process started may hold the other end and write for ever.
func ReadNow(f *os.File, b []byte) (int, error) {
	n, readErr := 0, error(nil)
	err := control(f, func(fd uintptr) {
		for {
			n, readErr = unix.Read(int(fd), b)
			if !errors.Is(readErr, unix.EINTR) {
				return
			}
		}
	})
	switch {
	case err != nil:
		return 0, err
	case errors.Is(readErr, unix.EAGAIN):
		return 0, nil
	case readErr != nil:
		return 0, os.NewSyscallError("read", readErr)
	}
	return n, nil
}
