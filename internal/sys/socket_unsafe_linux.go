package sys

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Messages of up to quickBytes on sockets that do not block go round the scheduler: such a call returns at once. Who tells it of one after a pause wakes the runtime's
// monitor besides, which then looks round every 20 µs: a third of a driver's switches between threads, and more, with calls over a socket that come one by one.
// Who has slept must see to it nevertheless that it is told before it works for long: see Attend.
const quickBytes = 64 << 10

// message is the header for one buffer, and control messages.
type message struct {
	header unix.Msghdr
	bytes  unix.Iovec
}

// pass makes the system call for b and oob, and returns what it does.
func (m *message) pass(trap uintptr, fd int, b, oob []byte, flags int) (n int, err error) {
	m.bytes.Base = unsafe.SliceData(b)
	m.bytes.SetLen(len(b))
	m.header.Iov = &m.bytes
	m.header.SetIovlen(1)
	if len(oob) > 0 {
		m.header.Control = unsafe.SliceData(oob)
		m.header.SetControllen(len(oob))
	}
	r, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&m.header)), uintptr(flags))
	runtime.KeepAlive(b)
	runtime.KeepAlive(oob)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

// recvmsgNow is unix.Recvmsg without the sender's address, for sockets that do not block.
func recvmsgNow(fd int, b, oob []byte, flags int) (n, oobn, got int, err error) {
	var m message
	n, err = m.pass(unix.SYS_RECVMSG, fd, b, oob, flags)
	return n, int(m.header.Controllen), int(m.header.Flags), err
}

// sendmsgNow is unix.SendmsgN to whom the socket is connected with, for sockets that do not block.
func sendmsgNow(fd int, b, oob []byte, flags int) (n int, err error) {
	var m message
	return m.pass(unix.SYS_SENDMSG, fd, b, oob, flags)
}
