package sys

import (
	"errors"

	"golang.org/x/sys/unix"
)

// recvmsg receives bytes and descriptors, the latter close-on-exec from birth.
func recvmsg(fd int, b, oob []byte) (n, oobn int, err error) {
	for {
		n, oobn, _, _, err = unix.Recvmsg(fd, b, oob, unix.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, unix.EINTR) {
			return n, oobn, err
		}
	}
}
