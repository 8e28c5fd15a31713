package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Liveness makes the pipe by which the kernel ends a worker whose driver is gone:
// mine stays in the driver, open as long as it lives and in no child; theirs is
// inherited by one worker, which calls DieWith on it. Nobody ever writes.
//
// The caller keeps mine reachable: a file that is collected is closed. Leash does
// without that.
//
// Each worker needs a pipe of its own: owner, signal and O_ASYNC belong to the
// open file description, not to the descriptor.
func Liveness() (mine, theirs *os.File, err error) {
	var fd [2]int
	if err := unix.Pipe2(fd[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	return os.NewFile(uintptr(fd[1]), "xme-liveness"), os.NewFile(uintptr(fd[0]), "xme-liveness"), nil
}

// farFD is above the descriptors that a child is usually given, and within the first
// table of them that the kernel makes for a process.
const farFD = 60

// ErrDriverGone is what DieWith returns to a process whose driver has ended already.
var ErrDriverGone = errors.New("the driver is gone")

// DieWith has the kernel kill this process's group, which it should lead, when the last write end of
// the pipe that was inherited as fd closes: at once, also while the process is
// stopped or in native code. If that has happened already it returns an error, for
// a hang-up before arming raises no signal.
//
// What this process executes inherits the pipe, and so keeps it armed: the group is
// still killed if this process has ended by then and the driver had not seen it. It is
// moved out of the way of the descriptors that a child is given; who closes what it
// inherited is beyond this.
func DieWith(fd int) error {
	if far, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD, farFD); err == nil {
		_ = unix.Close(fd)
		fd = far
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETSIG, int(unix.SIGKILL)); err != nil {
		return os.NewSyscallError("fcntl F_SETSIG", err)
	}
	// A negative owner is a process group.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETOWN, -unix.Getpgrp()); err != nil {
		return os.NewSyscallError("fcntl F_SETOWN", err)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return os.NewSyscallError("fcntl F_GETFL", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags|unix.O_ASYNC); err != nil {
		return os.NewSyscallError("fcntl F_SETFL", err)
	}
	p := []unix.PollFd{{Fd: int32(fd)}}
	for {
		_, err := unix.Poll(p, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && p[0].Revents&unix.POLLHUP != 0 {
			return ErrDriverGone
		}
		return os.NewSyscallError("poll", err)
	}
}
