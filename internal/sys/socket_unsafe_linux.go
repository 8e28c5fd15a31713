package sys

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Messages of up to quickBytes on sockets that do not block go round the scheduler: such a call returns at once. Who tells it of one after a pause wakes the runtime's
// monitor besides, which then looks round every 20 µs: half of the switches between threads of a call over a socket.
const quickBytes = 64 << 10

// message is the header for one buffer, and control messages.
type message struct {
	header unix.Msghdr
	bytes  unix.Iovec
}

func (m *message) fill(b, oob []byte) {
	m.bytes.Base = unsafe.SliceData(b)
	m.bytes.SetLen(len(b))
	m.header.Iov = &m.bytes
	m.header.SetIovlen(1)
	if len(oob) > 0 {
		m.header.Control = unsafe.SliceData(oob)
		m.header.SetControllen(len(oob))
	}
}

// recvmsgNow is unix.Recvmsg without the sender's address, for sockets that do not block.
func recvmsgNow(fd int, b, oob []byte, flags int) (n, oobn, got int, err error) {
	var m message
	m.fill(b, oob)
	r, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.header)), uintptr(flags))
	runtime.KeepAlive(b)
	runtime.KeepAlive(oob)
	if errno != 0 {
		return 0, 0, 0, errno
	}
	return int(r), int(m.header.Controllen), int(m.header.Flags), nil
}

// sendmsgNow is unix.SendmsgN to whom the socket is connected with, for sockets that do not block.
func sendmsgNow(fd int, b, oob []byte, flags int) (n int, err error) {
	var m message
	m.fill(b, oob)
	r, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.header)), uintptr(flags))
	runtime.KeepAlive(b)
	runtime.KeepAlive(oob)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}
