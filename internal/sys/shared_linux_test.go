package sys_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

func init() {
	// shared maps what it inherited as descriptor 3, says what it finds there, and writes to it.
	roles["shared"] = func(in *bufio.Scanner) {
		s, err := sys.OpenShared(os.NewFile(3, "shared"), 5000, true)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer s.Close()
		_, err = unix.FcntlInt(3, unix.F_GETFD, 0)
		fmt.Printf("%d bytes, %q, file %v, %v\n", len(s.Bytes()), s.Bytes()[:5], s.File(), err)
		copy(s.Bytes()[8000:], "child")
		fmt.Println("written")
		in.Scan()
	}
	// small makes more shared memory than it may have in one file.
	roles["small"] = func(*bufio.Scanner) {
		l := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
			fmt.Println(err)
			return
		}
		_, err := sys.NewShared(2 << 20)
		s, fits := sys.NewShared(1 << 20)
		fmt.Println(errors.Is(err, unix.EFBIG), fits, s.Close())
	}
}

// Memory that is sealed, and not there yet, is refused: who first looked at it would pay for it.
func TestSharedThatIsNotThere(t *testing.T) {
	t.Parallel()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "test")
	defer f.Close()
	if err := f.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fallocate(fd, 0, 0, 512<<10); err != nil { // half of it
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		t.Fatal(err)
	}
	dup, err := sys.Hold(f, "test")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := sys.OpenShared(dup, 1<<20, false); err == nil || !strings.Contains(err.Error(), " of 1048576 bytes are there") {
		t.Errorf("got %v, %v", s != nil, err)
	}
}

func shared(t *testing.T, size int) *sys.Shared {
	t.Helper()
	s, err := sys.NewShared(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
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
	t.Parallel()
	s := shared(t, 5000)
	b := s.Bytes()
	if len(b) != 8192 && os.Getpagesize() == 4096 {
		t.Errorf("%d bytes, want whole pages", len(b))
	}
	if !bytes.Equal(b, make([]byte, len(b))) {
		t.Error("new memory is not zero")
	}
	if !closesOnExec(t, s.File()) {
		t.Error("it may be inherited")
	}
	copy(b, "maker")
	c := start(t, "shared", func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{s.File()} })
	c.want(fmt.Sprintf(`%d bytes, "maker", file <nil>, bad file descriptor`, len(b)))
	c.want("written")
	if got := b[8000:8005]; string(got) != "child" {
		t.Errorf("the child wrote %q", got)
	}
	c.tell("end")
	c.await()
}

// TestSharedIsThere finds all pages before any has been touched.
func TestSharedIsThere(t *testing.T) {
	t.Parallel()
	s := shared(t, 9<<20)
	var st unix.Stat_t
	if err := unix.Fstat(int(s.File().Fd()), &st); err != nil || st.Blocks*512 != 9<<20 {
		t.Errorf("%d bytes are there, %v", st.Blocks*512, err)
	}
	if got := mapped(t, s); got != "0 kB" {
		t.Errorf("%s are mapped", got)
	}
	s.Prefault()
	if got := mapped(t, s); got != "9216 kB" {
		t.Errorf("prefaulted: %s are mapped", got)
	}
}

// mapped returns how much of s is in this process's page tables.
func mapped(t *testing.T, s *sys.Shared) string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	_, after, _ := bytes.Cut(maps, fmt.Appendf(nil, "%x-", uintptr(unsafe.Pointer(unsafe.SliceData(s.Bytes())))))
	_, after, _ = bytes.Cut(after, []byte("\nRss:"))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	return string(bytes.TrimSpace(line))
}

func TestSharedKeepsItsSize(t *testing.T) {
	t.Parallel()
	s := shared(t, 8192)
	fd := int(s.File().Fd())
	for _, size := range []int64{0, 4096, 16384} {
		if err := unix.Ftruncate(fd, size); !errors.Is(err, unix.EPERM) {
			t.Errorf("set to %d bytes: %v", size, err)
		}
	}
	if err := s.Seal(); err != nil {
		t.Error(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); !errors.Is(err, unix.EPERM) {
		t.Errorf("a further seal: %v", err)
	}
	if err := s.SealFutureWrite(); !errors.Is(err, unix.EPERM) {
		t.Errorf("a further seal: %v", err)
	}
}

func TestSharedSealFutureWrite(t *testing.T) {
	t.Parallel()
	s := shared(t, 4096)
	before, err := sys.OpenShared(again(t, s), 4096, true)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if err := s.SealFutureWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := sys.OpenShared(again(t, s), 4096, true); !errors.Is(err, unix.EPERM) {
		t.Errorf("writable: %v", err)
	}
	late, err := sys.OpenShared(again(t, s), 4096, false)
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
	if _, err := unix.FcntlInt(s.File().Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); !errors.Is(err, unix.EPERM) {
		t.Errorf("a further seal: %v", err)
	}
}

// TestOpenSharedRefuses holds what a peer may send instead; the file is closed each time.
func TestOpenSharedRefuses(t *testing.T) {
	t.Parallel()
	s := shared(t, 8192)
	fd, err := unix.MemfdCreate("xme-test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err == nil {
		err = unix.Ftruncate(fd, 8192)
	}
	if err != nil {
		t.Fatal(err)
	}
	closed := temp(t, "")
	_ = closed.Close()
	for _, tc := range []struct {
		name string
		file *os.File
		size int
		want string
	}{
		{"smaller", again(t, s), 8193, "shared memory of 8192 bytes where 12288 are wanted"},
		{"larger", again(t, s), 4096, "shared memory of 8192 bytes where 4096 are wanted"},
		{"no size", again(t, s), 0, "shared memory of 0 bytes: invalid argument"},
		{"a size beyond all", again(t, s), int(^uint(0) >> 1), "invalid argument"},
		{"not sealed", os.NewFile(uintptr(fd), "memfd"), 8192, "not sealed against resizing"},
		{"another file", temp(t, strings.Repeat("x", 8192)), 8192, "not shared memory"},
		{"closed", closed, 8192, os.ErrClosed.Error()},
	} {
		m, err := sys.OpenShared(tc.file, tc.size, true)
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

func TestSharedTooLarge(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, -1, int(^uint(0) >> 1)} {
		if _, err := sys.NewShared(size); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	// Within a limit on the size of files: an error, not a signal.
	start(t, "small").want("true <nil> <nil>")
}

func TestSharedClose(t *testing.T) {
	t.Parallel()
	s := shared(t, 4096)
	f := s.File()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if s.Bytes() != nil {
		t.Error("it has bytes")
	}
	s.Prefault()
	if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("its file: %v", err)
	}
	if err := s.Seal(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("seal: %v", err)
	}
}
