package sys

import (
	"errors"

	"golang.org/x/sys/unix"
)

// sendFlags keep a write to nobody from raising SIGPIPE, which a program may have
// asked to be notified of.
const sendFlags = unix.MSG_NOSIGNAL

// socketpair makes two connected sockets, close-on-exec from birth: threads that
// are not Go's may fork at any time.
func socketpair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// recvmsg receives bytes and descriptors, the latter close-on-exec from birth.
func recvmsg(fd int, b, oob []byte) (n, oobn, flags int, err error) {
	for {
		if len(b) > quickBytes {
			n, oobn, flags, _, err = unix.Recvmsg(fd, b, oob, unix.MSG_CMSG_CLOEXEC)
		} else {
			n, oobn, flags, err = recvmsgNow(fd, b, oob, unix.MSG_CMSG_CLOEXEC)
		}
		if !errors.Is(err, unix.EINTR) {
			return n, oobn, flags, err
		}
	}
}

// sendmsg sends bytes, at least one, and descriptors.
func sendmsg(fd int, b, oob []byte) (n int, err error) {
	if len(b) > quickBytes {
		return unix.SendmsgN(fd, b, oob, nil, sendFlags)
	}
	return sendmsgNow(fd, b, oob, sendFlags)
}
