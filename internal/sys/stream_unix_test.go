//go:build unix

package sys_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

func init() {
	// stream serves the socket that it inherited as descriptor 3: it reads a message and answers with it.
	roles["stream"] = func(*bufio.Scanner) {
		s, err := sys.InheritedSocket(3)
		flags, _ := unix.FcntlInt(3, unix.F_GETFD, 0)
		fmt.Println("kept from being inherited:", flags&unix.FD_CLOEXEC != 0)
		if err == nil {
			err = echo(s)
		}
		fmt.Println("echo:", err)
	}
	// crowded receives files with too few descriptors left to hold them.
	roles["crowded"] = func(*bufio.Scanner) {
		var l unix.Rlimit
		near, f, err := sys.SocketPair()
		if err == nil {
			err = unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
		}
		var far sys.Stream
		if err == nil {
			far, err = sys.Adopt(f)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, err := near.Write([]byte("a"), []*os.File{os.Stdin, os.Stdin, os.Stdin, os.Stdin}); err != nil {
			fmt.Println(err)
		}
		next, _ := os.Open(os.DevNull)
		l.Cur = uint64(next.Fd()) + 3
		_ = next.Close()
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
		_, files, err := far.Read(make([]byte, 1))
		fmt.Println(len(files), errors.Is(err, unix.EMFILE), err)
		next, err = os.Open(os.DevNull) // what came has been closed
		fmt.Println("room:", err)
		_ = next.Close()
	}
}

func echo(s sys.Stream) error {
	buf := make([]byte, 64)
	for {
		n, files, err := s.Read(buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			_, err = s.Write(buf[:n], files)
		}
		if err != nil {
			return err
		}
		for _, f := range files {
			_ = f.Close()
		}
	}
}

// streams makes both ends of a socket in this process.
func streams(t *testing.T) (near, far sys.Stream) {
	t.Helper()
	near, f, err := sys.SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	far, err = sys.Adopt(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Stat(); err == nil {
		t.Error("the adopted file is still open")
	}
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far
}

// TestStreamToChild sends bytes and files to a child that sends them back, and ends by the end of the stream.
func TestStreamToChild(t *testing.T) {
	t.Parallel()
	s, theirs, err := sys.SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !s.CarriesFiles() || !closesOnExec(t, theirs) {
		t.Errorf("carries files: %v, close-on-exec: %v", s.CarriesFiles(), closesOnExec(t, theirs))
	}
	c := start(t, "stream", func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{theirs} })
	_ = theirs.Close()
	c.want("kept from being inherited: true")
	if _, err := s.Write([]byte("hello"), []*os.File{temp(t, "one"), temp(t, "two")}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64)
	n, files, err := s.Read(b)
	if err != nil || string(b[:n]) != "hello" || len(files) != 2 {
		t.Fatalf("%q with %d files, %v", b[:n], len(files), err)
	}
	for _, f := range files {
		if !closesOnExec(t, f) {
			t.Error("a received file may be inherited")
		}
	}
	if got := texts(t, files); got[0] != "one" || got[1] != "two" {
		t.Errorf("files hold %q", got)
	}
	_ = s.Close()
	c.want("echo: <nil>")
}

// TestStreamEnds holds what each side gets when the other has closed.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	near, far := streams(t)
	if _, err := far.Write([]byte("last"), nil); err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	if _, err := near.Write([]byte("x"), nil); !errors.Is(err, sys.ErrGone) {
		t.Errorf("write: %v, want ErrGone", err)
	}
	if _, err := near.TryWrite([]byte("x"), nil); !errors.Is(err, sys.ErrGone) {
		t.Errorf("try: %v, want ErrGone", err)
	}
	b := make([]byte, 64)
	if n, _, err := near.Read(b); string(b[:n]) != "last" || err != nil {
		t.Errorf("what was sent before: %q, %v", b[:n], err)
	}
	if n, _, err := near.Read(b); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("then: %d bytes, %v, want EOF", n, err)
	}
	for range 2 {
		if err := near.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := near.Read(b); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := near.Write(b, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}

	// The other side closes with something unread.
	near, far = streams(t)
	if _, err := near.Write([]byte("unread"), nil); err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	if _, _, err := near.Read(b); !errors.Is(err, io.EOF) {
		t.Errorf("with bytes unread: %v, want EOF", err)
	}
}

// TestStreamWouldBlock fills the kernel's buffer, then drains it: nothing is lost, and the blocked write goes on.
func TestStreamWouldBlock(t *testing.T) {
	t.Parallel()
	near, far := streams(t)
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	sent := 0
	for {
		n, err := near.TryWrite(chunk, nil)
		sent += n
		if errors.Is(err, sys.ErrWouldBlock) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := near.TryWrite([]byte("x"), []*os.File{temp(t, "lost")}); !errors.Is(err, sys.ErrWouldBlock) {
		t.Errorf("full: %v", err)
	}
	f := temp(t, "sent")
	written := make(chan error, 1)
	chunk = bytes.Repeat(chunk, 64) // more than goes at once
	go func() {
		_, err := near.Write(chunk, []*os.File{f})
		written <- err
	}()
	var files []*os.File
	b := make([]byte, 1<<20)
	for got := 0; got < sent+len(chunk); {
		n, more, err := far.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got += n
		files = append(files, more...)
		if got <= sent && len(more) > 0 {
			t.Error("a file came before the byte it was sent with")
		}
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	if got := texts(t, files); len(got) != 1 || got[0] != "sent" {
		t.Errorf("files hold %q", got)
	}
}

// TestStreamSendsNothing tries to send files without a byte that carries them.
func TestStreamSendsNothing(t *testing.T) {
	t.Parallel()
	near, far := streams(t)
	if n, err := near.TryWrite(nil, []*os.File{os.Stdin}); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	_ = near.Close()
	b := make([]byte, 8)
	if n, files, err := far.Read(b); n != 0 || len(files) != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%q and %d files came, %v", b[:n], len(files), err)
	}
}

// TestStreamClosesUnderWay unblocks a reader and a writer.
func TestStreamClosesUnderWay(t *testing.T) {
	t.Parallel()
	near, _ := streams(t)
	ends := make(chan error, 2)
	go func() {
		_, _, err := near.Read(make([]byte, 8))
		ends <- err
	}()
	go func() {
		_, err := near.Write(make([]byte, 8<<20), nil)
		ends <- err
	}()
	_ = near.Close()
	for range 2 {
		select {
		case err := <-ends:
			if !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("Close unblocks nobody")
		}
	}
}

// TestStreamLosesFiles has a child receive four files with room for three: an error, not three files.
func TestStreamLosesFiles(t *testing.T) {
	t.Parallel()
	c := start(t, "crowded")
	if got := c.line(); !strings.HasPrefix(got, "0 true ") {
		t.Errorf("the child says %q", got)
	}
	c.want("room: <nil>")
}
