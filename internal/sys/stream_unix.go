//go:build unix

package sys

import (
	"errors"
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
	syscall.ForkLock.RLock()
	fd, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd[0])
		unix.CloseOnExec(fd[1])
	}
	syscall.ForkLock.RUnlock()
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
// being inherited further.
func InheritedSocket(fd int) (Stream, error) {
	unix.CloseOnExec(fd)
	return socketOf(fd)
}

// InheritedPipes opens the pipes inherited as descriptors r and w.
func InheritedPipes(r, w uintptr) (Stream, error) {
	for _, fd := range []int{int(r), int(w)} {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, os.NewSyscallError("fcntl", err)
		}
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
	var oobn int
	var opErr error
	err = s.raw.Read(func(fd uintptr) bool {
		n, oobn, opErr = recvmsg(int(fd), b, s.oob)
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
	if n == 0 && len(b) > 0 {
		return 0, files, io.EOF
	}
	return n, files, nil
}

// rights turns control messages into files.
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
			unix.CloseOnExec(fd)
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
			n, opErr = unix.SendmsgN(int(fd), b, oob, nil, 0)
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

// descriptors reads the numbers of files; the caller keeps them open. File.Fd is
// not used because it makes a file blocking.
func descriptors(files []*os.File) ([]int, error) {
	fds := make([]int, 0, len(files))
	for _, f := range files {
		raw, err := f.SyscallConn()
		if err != nil {
			return nil, err
		}
		if err := raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
			return nil, err
		}
	}
	return fds, nil
}

// gone reports whether a write failed because nobody can read any more.
func gone(err error) bool { return errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) }

// Adopt makes a Stream of the end that SocketPair made for a child, so that both
// can be had in one process. It takes f over.
func Adopt(f *os.File) (Stream, error) {
	fds, err := descriptors([]*os.File{f})
	if err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	_ = f.Close()
	return socketOf(fd)
}
