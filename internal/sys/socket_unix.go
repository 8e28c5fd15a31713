//go:build unix && !linux

package sys

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// sendFlags: what MSG_NOSIGNAL does is not offered everywhere. Go's runtime takes
// the SIGPIPE of a write to nobody and drops it.
const sendFlags = 0

// socketpair makes two connected sockets. Nobody may fork before they are
// close-on-exec.
func socketpair() ([2]int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd[0])
		unix.CloseOnExec(fd[1])
	}
	return fd, err
}

// recvmsg receives bytes and descriptors. Without MSG_CMSG_CLOEXEC no child may
// be forked before they are close-on-exec. The socket does not block.
func recvmsg(fd int, b, oob []byte) (n, oobn, flags int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for {
		n, oobn, flags, _, err = unix.Recvmsg(fd, b, oob, 0)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil || oobn == 0 {
		return n, oobn, flags, err
	}
	if msgs, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil {
		for i := range msgs {
			fds, _ := unix.ParseUnixRights(&msgs[i])
			for _, fd := range fds {
				unix.CloseOnExec(fd)
			}
		}
	}
	return n, oobn, flags, nil
}

// sendmsg sends bytes, at least one, and descriptors.
func sendmsg(fd int, b, oob []byte) (n int, err error) {
	return unix.SendmsgN(fd, b, oob, nil, sendFlags)
}
