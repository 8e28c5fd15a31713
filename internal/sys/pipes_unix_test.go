//go:build unix

package sys_test

import (
	"errors"
	"io"
	"os"
	"testing"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

// TestPipes sends both ways, refuses files and ends.
func TestPipes(t *testing.T) {
	t.Parallel()
	r1, w1, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r2, w2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	near, far := sys.Pipes(r1, w2), sys.Pipes(r2, w1)
	if near.CarriesFiles() {
		t.Error("pipes carry no files")
	}
	if _, err := near.Write([]byte("x"), []*os.File{os.Stdin}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("with a file: %v", err)
	}
	if _, err := far.Write([]byte("hello"), nil); err != nil {
		t.Error(err)
	}
	b := make([]byte, 64)
	if n, _, err := near.Read(b); string(b[:n]) != "hello" || err != nil {
		t.Errorf("%q, %v", b[:n], err)
	}
	if err := far.Close(); err != nil {
		t.Error(err)
	}
	if _, err := near.Write([]byte("x"), nil); !errors.Is(err, sys.ErrGone) {
		t.Errorf("write: %v, want ErrGone", err)
	}
	if _, _, err := near.Read(b); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v, want EOF", err)
	}
	if err := near.Close(); err != nil {
		t.Error(err)
	}
}

// TestInheritedPipesFail names a descriptor that is none: the other one is closed.
func TestInheritedPipesFail(t *testing.T) {
	t.Parallel()
	f := temp(t, "")
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sys.InheritedPipes(uintptr(fd), 1<<20); !errors.Is(err, unix.EBADF) {
		t.Error(err)
	}
}
