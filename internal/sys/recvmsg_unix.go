//go:build unix && !linux

package sys

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// recvmsg receives bytes and descriptors. Without MSG_CMSG_CLOEXEC no child may
// be forked before rights has set the flag.
func recvmsg(fd int, b, oob []byte) (n, oobn int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for {
		n, oobn, _, _, err = unix.Recvmsg(fd, b, oob, 0)
		if !errors.Is(err, unix.EINTR) {
			return n, oobn, err
		}
	}
}
