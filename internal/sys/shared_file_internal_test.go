//go:build unix

package sys

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The form of shared memory that systems without files in memory have is tried on all that have files.

// pair is two pages.
var pair = 2 * os.Getpagesize()

func newShared(t *testing.T, size int) *sharedFile {
	t.Helper()
	s, err := newSharedFile(size)
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

// passed returns a file as another process would get it.
func passed(t *testing.T, f *os.File) *os.File {
	t.Helper()
	dup, err := Duplicate(f, "passed")
	if err != nil {
		t.Fatal(err)
	}
	return dup
}

// TestSharedFile maps memory twice and finds it zeroed, whole, private and without a name.
func TestSharedFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	page := os.Getpagesize()
	s := newShared(t, 3<<20+1)
	size := 3<<20 + page
	if b := s.Bytes(); !bytes.Equal(b, make([]byte, size)) {
		t.Errorf("%d bytes, or they are not zero", len(b))
	}
	if list, err := os.ReadDir(dir); len(list) != 0 || err != nil {
		t.Errorf("the file has a name: %v, %v", list, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(s.File().Fd()), &st); err != nil || st.Blocks*512 < int64(size) || st.Mode&0o777 != 0o600 {
		t.Errorf("%d bytes are there, mode %o, %v", st.Blocks*512, st.Mode, err)
	}
	m, err := openSharedFile(passed(t, s.File()), size, true)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s.Prefault()
	copy(s.Bytes(), "maker")
	copy(m.Bytes()[size-5:], "other")
	if a, b := m.Bytes()[:5], s.Bytes()[size-5:]; string(a) != "maker" || string(b) != "other" || m.File() != nil {
		t.Errorf("%q and %q, file %v", a, b, m.File())
	}
}

// TestSharedFileSealFutureWrite passes a descriptor through which nobody can write.
func TestSharedFileSealFutureWrite(t *testing.T) {
	t.Parallel()
	s := newShared(t, pair)
	first := s.File()
	before, err := openSharedFile(passed(t, first), pair, true)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if err := s.SealFutureWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Stat(); !errors.Is(err, os.ErrClosed) || s.File() == first {
		t.Errorf("the descriptor for writing: %v", err)
	}
	if _, err := openSharedFile(passed(t, s.File()), pair, true); !errors.Is(err, unix.EACCES) {
		t.Errorf("writable: %v", err)
	}
	if err := s.File().Truncate(0); err == nil {
		t.Error("it could be cut short")
	}
	late, err := openSharedFile(passed(t, s.File()), pair, false)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	late.Prefault()
	s.Bytes()[0], before.Bytes()[1] = 'a', 'b'
	if got := late.Bytes()[:2]; string(got) != "ab" {
		t.Errorf("read %q", got)
	}
	if err := unix.Mprotect(late.Bytes(), unix.PROT_READ|unix.PROT_WRITE); !errors.Is(err, unix.EACCES) {
		t.Errorf("made writable: %v", err)
	}
	if err := s.SealFutureWrite(); !errors.Is(err, unix.EPERM) {
		t.Errorf("a further seal: %v", err)
	}
	if err := late.SealFutureWrite(); !errors.Is(err, unix.EPERM) {
		t.Errorf("sealed where it was opened: %v", err)
	}
}

func TestSharedFileSeal(t *testing.T) {
	t.Parallel()
	s := newShared(t, pair)
	if err := s.Seal(); err != nil {
		t.Error(err)
	}
	if err := s.SealFutureWrite(); !errors.Is(err, unix.EPERM) {
		t.Errorf("a further seal: %v", err)
	}
	if m, err := openSharedFile(passed(t, s.File()), pair, true); err != nil {
		t.Error(err)
	} else {
		_ = m.Close()
	}
	f := s.File()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s.Prefault()
	if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) || s.Bytes() != nil {
		t.Errorf("its file: %v", err)
	}
	if a, b := s.Seal(), s.SealFutureWrite(); !errors.Is(a, os.ErrClosed) || !errors.Is(b, os.ErrClosed) {
		t.Errorf("sealed after Close: %v, %v", a, b)
	}
}

// TestOpenSharedFileRefuses holds what a peer may send instead; the file is closed each time.
func TestOpenSharedFileRefuses(t *testing.T) {
	t.Parallel()
	s := newShared(t, pair)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	closed := passed(t, s.File())
	_ = closed.Close()
	for _, tc := range []struct {
		name string
		file *os.File
		size int
		want string
	}{
		{"smaller", passed(t, s.File()), pair + 1, fmt.Sprintf("shared memory of %d bytes where ", pair)},
		{"larger", passed(t, s.File()), 1, fmt.Sprintf("shared memory of %d bytes where ", pair)},
		{"no size", passed(t, s.File()), 0, "shared memory of 0 bytes: invalid argument"},
		{"a size beyond all", passed(t, s.File()), int(^uint(0) >> 1), "invalid argument"},
		{"a pipe", r, pair, "no regular file"},
		{"closed", closed, pair, os.ErrClosed.Error()},
	} {
		m, err := openSharedFile(tc.file, tc.size, true)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		if err == nil {
			_ = m.Close()
		}
		if _, err := tc.file.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: the file is open", tc.name)
		}
	}
}

// TestNewSharedFileFails leaves nothing behind where the file cannot be made or filled.
func TestNewSharedFileFails(t *testing.T) {
	for _, size := range []int{0, -1, int(^uint(0) >> 1)} {
		if _, err := newSharedFile(size); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	f, reader, err := unnamedFile()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer reader.Close()
	if err := fill(reader, 1); err == nil {
		t.Error("filled what is for reading only")
	}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	if _, err := newSharedFile(4096); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}
