package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// HasSockets reports whether links can be sockets here.
const HasSockets = true

// AwaitExit blocks until the child pid has ended, without reaping it; nothing else
// ends the wait. It waits on a pidfd in the netpoller, so that no thread is held;
// kernels before 5.10, and processes that have no descriptor left, hold one in
// waitid.
func AwaitExit(pid int) error {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return waitid(unix.P_PID, pid)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer func() { _ = f.Close() }()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var opErr error
	err = raw.Read(func(fd uintptr) bool {
		opErr = waitid(unix.P_PIDFD, int(fd))
		return !errors.Is(opErr, unix.EAGAIN)
	})
	if err != nil {
		return waitid(unix.P_PID, pid) // the poller does not take pidfds
	}
	return opErr
}

// waitid waits until a child has ended and leaves it to be reaped. On a
// non-blocking pidfd it returns EAGAIN while the child lives.
func waitid(kind, id int) error {
	for {
		err := unix.Waitid(kind, id, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("waitid", err)
		}
	}
}
