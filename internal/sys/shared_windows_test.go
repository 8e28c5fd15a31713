package sys_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/windows"
)

func init() {
	// shared maps what it is sent, 8192 bytes, says what it finds there, and writes to it.
	roles["shared"] = func(s sys.Stream) error {
		_, files, err := s.Read(make([]byte, 1))
		if err != nil {
			return err
		}
		m, err := sys.OpenShared(files[0], 8192, true)
		if err != nil {
			return err
		}
		defer m.Close()
		found := bytes.Clone(m.Bytes()[:5])
		copy(m.Bytes()[8000:], "child")
		_, err = s.Write(found, nil)
		return err
	}
}

func shared(t *testing.T, size int) *sys.Shared {
	t.Helper()
	s, err := sys.NewShared(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

// again returns the file of s as another process would get it.
func again(t *testing.T, s *sys.Shared) *os.File {
	t.Helper()
	f, err := sys.Duplicate(s.File(), "again")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSharedToChild(t *testing.T) {
	s := shared(t, 5000)
	b := s.Bytes()
	if !bytes.Equal(b, make([]byte, 8192)) {
		t.Errorf("%d bytes, or they are not zero", len(b))
	}
	s.Prefault()
	copy(b, "maker")
	link, _ := start(t, "shared")
	if _, err := link.Write([]byte("x"), []*os.File{s.File()}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 8)
	if n, _, err := link.Read(got); string(got[:n]) != "maker" || err != nil {
		t.Errorf("the child found %q, %v", got[:n], err)
	}
	if got := b[8000:8005]; string(got) != "child" {
		t.Errorf("the child wrote %q", got)
	}
	if _, _, err := link.Read(got); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestSharedSealFutureWrite(t *testing.T) {
	s := shared(t, 4096)
	first := s.File()
	before, err := sys.OpenShared(again(t, s), 4096, true)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	reader, err := sys.OpenShared(again(t, s), 4096, false)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if protection(before.Bytes()) != windows.PAGE_READWRITE || protection(reader.Bytes()) != windows.PAGE_READONLY {
		t.Errorf("mapped as %#x and %#x", protection(before.Bytes()), protection(reader.Bytes()))
	}
	if err := s.SealFutureWrite(); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the handle for writing: %v", err)
	}
	if _, err := sys.OpenShared(again(t, s), 4096, true); !errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		t.Errorf("writable: %v", err)
	}
	late, err := sys.OpenShared(again(t, s), 4096, false)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	late.Prefault()
	s.Bytes()[0], before.Bytes()[1] = 'a', 'b'
	if a, b := late.Bytes()[:2], reader.Bytes()[:2]; string(a) != "ab" || string(b) != "ab" {
		t.Errorf("read %q and %q", a, b)
	}
	if err := protect(late.Bytes(), windows.PAGE_READWRITE); err == nil {
		t.Error("made writable")
	}
	if err := s.SealFutureWrite(); !errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		t.Errorf("a further seal: %v", err)
	}
	// A duplicate does not get more access than the handle has.
	self := windows.CurrentProcess()
	var dup windows.Handle
	const mapWrite = 0x2
	if err := windows.DuplicateHandle(self, windows.Handle(s.File().Fd()), self, &dup, mapWrite, false, 0); !errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		t.Errorf("duplicated for writing: %v", err)
	}
}

// section makes what is no shared memory of ours.
func section(t *testing.T, of windows.Handle, protect uint32, size uint32) *os.File {
	t.Helper()
	h, err := windows.CreateFileMapping(of, nil, protect, 0, size, nil)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(h), "section")
}

// TestOpenSharedRefuses holds what a peer may send instead; the file is closed each time.
func TestOpenSharedRefuses(t *testing.T) {
	s := shared(t, 8192)
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(make([]byte, 8192)); err != nil {
		t.Fatal(err)
	}
	ofFile := section(t, windows.Handle(file.Fd()), windows.PAGE_READWRITE, 8192)
	closed := again(t, s)
	_ = closed.Close()
	for _, tc := range []struct {
		name string
		file *os.File
		size int
		want string
	}{
		{"smaller", again(t, s), 8193, "shared memory of 8192 bytes where 12288 are wanted"},
		{"larger", again(t, s), 4096, "shared memory of 8192 bytes where 4096 are wanted"},
		{"no size", again(t, s), 0, "shared memory of 0 bytes"},
		{"a size beyond all", again(t, s), int(^uint(0) >> 1), "shared memory of"},
		{"reserved", section(t, windows.InvalidHandle, windows.PAGE_READWRITE|0x4000000, 8192), 8192, "no committed section"},
		{"a file's section", ofFile, 8192, "no committed section"},
		{"a file", file, 8192, "not shared memory"},
		{"closed", closed, 8192, os.ErrClosed.Error()},
	} {
		m, err := sys.OpenShared(tc.file, tc.size, true)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		if err == nil {
			_ = m.Close()
		}
		if err := tc.file.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: the file is open", tc.name)
		}
	}
}

func TestSharedTooLarge(t *testing.T) {
	for _, size := range []int{0, -1, int(^uint(0) >> 1)} {
		if _, err := sys.NewShared(size); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestSharedClose(t *testing.T) {
	before := handles()
	for range 30 {
		s, err := sys.NewShared(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		f := s.File()
		if err := errors.Join(s.Seal(), s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		s.Prefault()
		if err := f.Close(); !errors.Is(err, os.ErrClosed) || s.Bytes() != nil {
			t.Errorf("its file: %v", err)
		}
		if a, b := s.Seal(), s.SealFutureWrite(); !errors.Is(a, os.ErrClosed) || !errors.Is(b, os.ErrClosed) {
			t.Errorf("sealed after Close: %v, %v", a, b)
		}
	}
	if after := handles(); after > before+5 {
		t.Errorf("%d handles, there were %d", after, before)
	}
}
