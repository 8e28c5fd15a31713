package sys

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// readProc reads a small file of process pid (0: this one) from /proc into buf, as far as it fits. A process that has
// been reaped gives os.ErrProcessDone. It goes round os.File, which would offer each file to the poller.
func readProc(pid int, name string, buf []byte) ([]byte, error) {
	dir := "/proc/self/"
	if pid != 0 {
		dir = "/proc/" + strconv.Itoa(pid) + "/"
	}
	var fd, n int
	err := retry(func() (err error) {
		fd, err = unix.Open(dir+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	if err == nil {
		for n < len(buf) && err == nil {
			more := 0
			err = retry(func() (err error) {
				more, err = unix.Read(fd, buf[n:])
				return err
			})
			if more <= 0 {
				break
			}
			n += more
		}
		_ = unix.Close(fd)
	}
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH):
		return nil, fmt.Errorf("process %d: %w", pid, os.ErrProcessDone)
	case err != nil:
		return nil, &os.PathError{Op: "read", Path: dir + name, Err: err}
	}
	return buf[:n], nil
}

// retry repeats a system call that a signal has interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// field returns the value behind "key:" in a file of such lines, as /proc/pid/status.
func field(status []byte, key string) (string, error) {
	for line := range bytes.Lines(status) {
		if k, v, ok := bytes.Cut(line, []byte(":")); ok && string(k) == key {
			return string(bytes.TrimSpace(v)), nil
		}
	}
	return "", fmt.Errorf("the kernel's status of a process has no %s: %w", key, errors.ErrUnsupported)
}
