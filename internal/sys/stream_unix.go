//go:build unix

package sys

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// SocketPair makes two connected stream sockets, both close-on-exec: the first
// end as a Stream for this process, the second as the file a child inherits.
func SocketPair() (Stream, *os.File, error) {
	fd, err := socketpair()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	s, err := socketOf(fd[0])
	if err != nil {
		_ = unix.Close(fd[1])
		return nil, nil, err
	}
	return s, os.NewFile(uintptr(fd[1]), "xme-link"), nil
}

// InheritedSocket opens the socket inherited as descriptor fd and keeps it from
// being inherited further. On an error it is closed.
func InheritedSocket(fd int) (Stream, error) {
	unix.CloseOnExec(fd)
	return socketOf(fd)
}

// ChildPipes joins two one-way files into a Stream to a child that opens the other ends with InheritedPipes.
func ChildPipes(r, w *os.File) Stream { return Pipes(r, w) }

// InheritedPipes opens the pipes inherited as descriptors r and w and keeps them
// from being inherited further. On an error both are closed.
func InheritedPipes(r, w uintptr) (Stream, error) {
	unix.CloseOnExec(int(r))
	unix.CloseOnExec(int(w))
	err := unix.SetNonblock(int(r), true)
	if err == nil {
		err = unix.SetNonblock(int(w), true)
	}
	if err != nil {
		_, _ = unix.Close(int(r)), unix.Close(int(w))
		return nil, os.NewSyscallError("fcntl", err)
	}
	return Pipes(os.NewFile(r, "xme-link-in"), os.NewFile(w, "xme-link-out")), nil
}

func socketOf(fd int) (Stream, error) {
	// Non-blocking before NewFile, so that the file joins the netpoller and no
	// thread is held while it waits.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(fd), "xme-link")
	raw, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &socket{f: f, raw: raw, oob: make([]byte, oobSpace)}, nil
}

type socket struct {
	f   *os.File
	raw syscall.RawConn
	oob []byte // control messages of the one reader

	close  sync.Once
	closed atomic.Bool
	err    error
}

func (s *socket) Pending() bool {
	n := 0
	_ = s.raw.Control(func(fd uintptr) {
		n, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	})
	return n > 0
}

func (s *socket) CarriesFiles() bool { return true }

func (s *socket) Close() error {
	s.close.Do(func() {
		s.closed.Store(true)
		s.err = s.f.Close()
	})
	return s.err
}

// oobSpace holds the largest control message a peer may send.
var oobSpace = unix.CmsgSpace(4 * 253)

func (s *socket) Read(b []byte) (n int, files []*os.File, err error) {
	var oobn, flags int
	var opErr error
	err = s.raw.Read(func(fd uintptr) bool {
		n, oobn, flags, opErr = recvmsg(int(fd), b, s.oob)
		return !errors.Is(opErr, unix.EAGAIN)
	})
	switch {
	case err != nil && s.closed.Load():
		err = os.ErrClosed
	case err != nil:
	case errors.Is(opErr, unix.ECONNRESET):
		err = io.EOF // it ended without reading all that was sent to it
	case opErr != nil:
		err = os.NewSyscallError("recvmsg", opErr)
	}
	if err != nil {
		return 0, nil, err
	}
	if oobn > 0 {
		if files, err = rights(s.oob[:oobn]); err != nil {
			return 0, nil, err
		}
	}
	if flags&unix.MSG_CTRUNC != 0 {
		// The kernel has dropped descriptors for which there was no room, and
		// says so nowhere else: what follows would be paired with wrong files.
		for _, f := range files {
			_ = f.Close()
		}
		return 0, nil, fmt.Errorf("receive files: %w", unix.EMFILE)
	}
	if n == 0 && len(b) > 0 {
		return 0, files, io.EOF
	}
	return n, files, nil
}

// rights turns control messages into files; recvmsg has made them close-on-exec.
func rights(oob []byte) ([]*os.File, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, os.NewSyscallError("parse control message", err)
	}
	var files []*os.File
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue // not descriptors: nothing we asked for
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "xme-received"))
		}
	}
	return files, nil
}

func (s *socket) TryWrite(b []byte, files []*os.File) (int, error) {
	return s.send(b, files, true)
}

func (s *socket) Write(b []byte, files []*os.File) (done int, err error) {
	for done < len(b) {
		n, err := s.send(b[done:], files, false)
		done += n
		if err != nil {
			return done, err
		}
		if n > 0 {
			files = nil
		}
	}
	return done, nil
}

func (s *socket) send(b []byte, files []*os.File, try bool) (n int, err error) {
	if len(b) == 0 {
		return 0, nil // with files, SendmsgN would add a byte of its own
	}
	var oob []byte
	if len(files) > 0 {
		fds, err := descriptors(files)
		if err != nil {
			return 0, err
		}
		oob = unix.UnixRights(fds...)
	}
	var opErr error
	defer runtime.KeepAlive(files)
	err = s.raw.Write(func(fd uintptr) bool {
		for {
			n, opErr = sendmsg(int(fd), b, oob)
			if !errors.Is(opErr, unix.EINTR) {
				break
			}
		}
		return try || !errors.Is(opErr, unix.EAGAIN)
	})
	switch {
	case err != nil && s.closed.Load():
		return 0, os.ErrClosed
	case err != nil:
		return 0, err
	case errors.Is(opErr, unix.EAGAIN):
		return 0, ErrWouldBlock
	case gone(opErr):
		return 0, ErrGone
	case opErr != nil:
		return 0, os.NewSyscallError("sendmsg", opErr)
	}
	return n, nil
}

// descriptors reads the numbers of files; the caller keeps them open.
func descriptors(files []*os.File) ([]int, error) {
	fds := make([]int, 0, len(files))
	for _, f := range files {
		if err := control(f, func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
			return nil, err
		}
	}
	return fds, nil
}

// InheritedFile opens the pipe inherited as descriptor fd and keeps it from being
// inherited further. On an error it is closed.
func InheritedFile(fd uintptr, name string) (*os.File, error) {
	unix.CloseOnExec(int(fd))
	if err := unix.SetNonblock(int(fd), true); err != nil {
		_ = unix.Close(int(fd))
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(fd, name), nil
}

// gone reports whether a write failed because nobody can read any more.
func gone(err error) bool { return errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) }

// Adopt makes a Stream of the end that SocketPair made for a child, so that both
// can be had in one process. It takes f over, also when it fails.
func Adopt(f *os.File) (Stream, error) {
	fd, err := duplicate(f)
	_ = f.Close()
	if err != nil {
		return nil, err
	}
	return socketOf(fd)
}
