package sys

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
)

// shelf is a carrier for both ends within one process: a handle is a number under which a duplicate lies.
type shelf struct {
	mu    sync.Mutex
	last  uint32
	files map[uint32]*os.File
}

var errShelf = errors.New("nothing lies there")

func (s *shelf) give(files []*os.File) (handles []uint32, err error) {
	for _, f := range files {
		dup, err := Duplicate(f, f.Name())
		if err != nil {
			s.drop(handles)
			return nil, err
		}
		s.mu.Lock()
		s.last++
		s.files[s.last] = dup
		handles = append(handles, s.last)
		s.mu.Unlock()
	}
	return handles, nil
}

func (s *shelf) drop(handles []uint32) {
	files, _ := s.take(handles)
	closeAll(files)
}

func (s *shelf) take(handles []uint32) (files []*os.File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range handles {
		f := s.files[h]
		delete(s.files, h)
		if f == nil {
			closeAll(files)
			return nil, errShelf
		}
		files = append(files, f)
	}
	return files, nil
}

func (s *shelf) attach(int) error { return nil }
func (s *shelf) close()           {}

// carryingPair joins two streams; the shelf is empty at the end.
func carryingPair(t testing.TB) (near, far *carrying) {
	t.Helper()
	r1, w1, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r2, w2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{files: map[uint32]*os.File{}}
	near, far = newCarrying(r1, w2, s), newCarrying(r2, w1, s)
	t.Cleanup(func() {
		_, _ = near.Close(), far.Close()
		if len(s.files) > 0 {
			t.Errorf("%d files are on their way", len(s.files))
		}
	})
	return near, far
}

// holding is a file that can be read once.
func holding(t *testing.T, text string) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString(text); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// TestCarrying sends writes of all sizes, and files that come with the first byte they were sent with.
func TestCarrying(t *testing.T) {
	t.Parallel()
	near, far := carryingPair(t)
	sizes := []int{1, 7, 4096, carryWhole - 20, carryWhole, carryWhole + 1, 1 << 20}
	files := make([][]*os.File, len(sizes))
	for i := range sizes {
		files[i] = []*os.File{holding(t, strings.Repeat("a", i)), holding(t, strings.Repeat("b", i))}[:i%3]
	}
	done := make(chan error, 1)
	go func() {
		for i, n := range sizes {
			if m, err := near.Write(bytes.Repeat([]byte{byte(i)}, n), files[i]); m != n || err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i, n := range sizes {
		got := 0
		for b := make([]byte, 1<<16); got < n; {
			m, files, err := far.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			if want := i % 3; got == 0 && len(files) != want || got > 0 && len(files) != 0 {
				t.Fatalf("write %d: %d files at byte %d, %d were sent", i, len(files), got, want)
			}
			for j, f := range files {
				if text, err := io.ReadAll(f); err != nil || string(text) != strings.Repeat("ab"[j:j+1], i) {
					t.Errorf("write %d: file %d holds %q, %v", i, j, text, err)
				}
			}
			closeAll(files)
			if !bytes.Equal(b[:m], bytes.Repeat([]byte{byte(i)}, m)) {
				t.Fatalf("write %d: other bytes at %d", i, got)
			}
			got += m
		}
		if got != n {
			t.Fatalf("write %d: %d bytes, %d were sent: writes are not told apart", i, got, n)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n, files, err := far.Read(nil); n != 0 || files != nil || err != nil {
		t.Errorf("nothing asked for: %d, %v, %v", n, files, err)
	}
}

// TestCarryingEnds holds what each side gets when the other has closed.
func TestCarryingEnds(t *testing.T) {
	t.Parallel()
	near, far := carryingPair(t)
	if n, err := near.Write(nil, []*os.File{os.Stdin}); n != 0 || err != nil {
		t.Errorf("nothing sent: %d, %v", n, err)
	}
	if _, err := near.Write([]byte("x"), make([]*os.File, MaxFiles+1)); err == nil {
		t.Error("sent too many files")
	}
	closed := holding(t, "")
	_ = closed.Close()
	if _, err := near.Write([]byte("x"), []*os.File{holding(t, ""), closed}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed file: %v", err)
	}
	if _, err := near.TryWrite([]byte("x"), nil); !errors.Is(err, ErrWouldBlock) {
		t.Errorf("try: %v", err)
	}
	if _, err := near.Write([]byte("last"), nil); err != nil {
		t.Error(err)
	}
	_ = near.Close()
	b := make([]byte, 16)
	if n, _, err := far.Read(b); string(b[:n]) != "last" || err != nil {
		t.Errorf("%q, %v", b[:n], err)
	}
	if _, _, err := far.Read(b); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
	for _, n := range []int{1, carryWhole + 1} {
		if m, err := far.Write(make([]byte, n), []*os.File{holding(t, "")}); m != 0 || !errors.Is(err, ErrGone) {
			t.Errorf("write: %d, %v", m, err)
		}
	}
	if _, _, err := near.Read(b); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestCarryingRubbish has a peer send what no stream sends: an error each time, and no file is left open.
func TestCarryingRubbish(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		bytes string
		want  string
	}{
		"zeros":           {strings.Repeat("\x00", 100), "announces 0 bytes with 0 files"},
		"text":            {"GET / HTTP/1.1\r\n", "announces"},
		"no bytes":        {"\x00\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00", "announces 0 bytes with 1 files"},
		"too many":        {"\x01\x00\x00\x00\xfb\x00\x00\x00", "with 251 files"},
		"too much":        {"\x01\x00\x00\x40\x01\x00\x00\x00", "announces 1073741825 bytes"},
		"not zero":        {"\x01\x00\x00\x00\x00\x00\x01\x00x", "(1)"},
		"no such handle":  {"\x01\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00x", "receive files: nothing"},
		"a cut head":      {"\x01\x00\x00", io.ErrUnexpectedEOF.Error()},
		"cut handles":     {"\x01\x00\x00\x00\x02\x00\x00\x00\x08\x00", io.ErrUnexpectedEOF.Error()},
		"handles missing": {"\x01\x00\x00\x00\x02\x00\x00\x00", io.ErrUnexpectedEOF.Error()},
		"bytes missing":   {"\x02\x00\x00\x00\x00\x00\x00\x00", io.ErrUnexpectedEOF.Error()},
	} {
		near, far := carryingPair(t)
		if _, err := near.w.WriteString(tc.bytes); err != nil {
			t.Fatal(err)
		}
		_ = near.Close()
		if n, files, err := far.Read(make([]byte, 64)); n != 0 || files != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %d bytes, files %v, %v", name, n, files, err)
		}
	}
}

// TestCarryingLosesBytes ends behind a file whose bytes never come: it is closed.
func TestCarryingLosesBytes(t *testing.T) {
	t.Parallel()
	near, far := carryingPair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := near.c.give([]*os.File{w}); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if _, err := near.w.WriteString("\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00"); err != nil {
		t.Fatal(err)
	}
	_ = near.Close()
	if _, files, err := far.Read(make([]byte, 8)); files != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v, %v", files, err)
	}
	if _, err := io.ReadAll(r); err != nil { // ends, so every copy of the other end is closed
		t.Error(err)
	}
}

// Whatever bytes come, Read returns bytes or an error, and never more than came.
func FuzzCarrying(f *testing.F) {
	f.Add([]byte("\x05\x00\x00\x00\x00\x00\x00\x00hello\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00x"))
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, p []byte) {
		near, far := carryingPair(t)
		go func() {
			_, _ = near.w.Write(p)
			_ = near.Close()
		}()
		total, b := 0, make([]byte, 64)
		for {
			n, files, err := far.Read(b)
			total += n
			if err != nil {
				break
			}
			if len(files) > 0 {
				t.Error("files out of nothing")
			}
		}
		if total > len(p) {
			t.Errorf("%d bytes out of %d", total, len(p))
		}
	})
}
