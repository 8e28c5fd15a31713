package sys_test

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/xenonmp/xme/internal/sys"
)

func init() {
	// echo sends back what comes, with its files and how many handles the child has.
	roles["echo"] = func(s sys.Stream) error {
		b := make([]byte, 64)
		for {
			n, files, err := s.Read(b)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err == nil {
				_, err = s.Write(b[:n], files)
			}
			if err != nil {
				return err
			}
			for _, f := range files {
				_ = sys.Release(f)
			}
		}
	}
	// count says how many handles the child has, each time it is sent something.
	roles["count"] = func(s sys.Stream) error {
		b := make([]byte, 64)
		for {
			_, files, err := s.Read(b)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			for _, f := range files {
				_ = sys.Release(f)
			}
			if _, err := s.Write(binary.LittleEndian.AppendUint64(nil, uint64(handles())), files[:0]); err != nil {
				return err
			}
		}
	}
	// end ends at once.
	roles["end"] = func(sys.Stream) error { return nil }
}

// TestCarriedToChild sends files to a child that sends them back, many times, and leaves no handle open on either side.
func TestCarriedToChild(t *testing.T) {
	s, _ := start(t, "echo")
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !s.CarriesFiles() {
		t.Error("it carries no files")
	}
	once := func() {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := s.Write([]byte("hello"), []*os.File{f, w}); err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		b := make([]byte, 64)
		n, files, err := s.Read(b)
		if err != nil || string(b[:n]) != "hello" || len(files) != 2 {
			t.Fatalf("%q with %d files, %v", b[:n], len(files), err)
		}
		for i, f := range files {
			if files[i], err = sys.Usable(f, "usable"); err != nil {
				t.Fatal(err)
			}
		}
		if text, err := io.ReadAll(files[0]); string(text) != "content" || err != nil {
			t.Errorf("the file holds %q, %v", text, err)
		}
		if _, err := files[1].WriteString("through"); err != nil {
			t.Error(err)
		}
		_, _ = files[0].Close(), files[1].Close()
		// It ends once the child has closed its copy too.
		if text, err := io.ReadAll(r); string(text) != "through" || err != nil {
			t.Errorf("the pipe carries %q, %v", text, err)
		}
	}
	once()
	before := handles()
	for range 50 {
		once()
	}
	if after := handles(); after > before+10 { // threads have some
		t.Errorf("%d handles, there were %d", after, before)
	}
}

// TestCarriedAreClosed counts the child's handles after many files have been sent to it.
func TestCarriedAreClosed(t *testing.T) {
	s, _ := start(t, "count")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	b := make([]byte, 8)
	var first, last uint64
	for i := range 50 {
		if _, err := s.Write([]byte("x"), []*os.File{null, null, null}); err != nil {
			t.Fatal(err)
		}
		if n, _, err := s.Read(b); n != 8 || err != nil {
			t.Fatal(n, err)
		}
		last = binary.LittleEndian.Uint64(b)
		if i == 0 {
			first = last
		}
	}
	if last > first+10 {
		t.Errorf("the child has %d handles, it had %d", last, first)
	}
}

// TestCarriedToNobody writes to a child that has ended.
func TestCarriedToNobody(t *testing.T) {
	s, wait := start(t, "end")
	wait()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := s.Write([]byte("x"), []*os.File{null}); !errors.Is(err, sys.ErrGone) {
		t.Errorf("with a file: %v", err)
	}
	if _, err := s.Write([]byte("x"), nil); !errors.Is(err, sys.ErrGone) {
		t.Errorf("without: %v", err)
	}
	if _, _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v", err)
	}
}

// TestCarriedBeforeAttach has nowhere to put a file.
func TestCarriedBeforeAttach(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := sys.ChildPipes(r, w)
	if _, err := s.Write([]byte("x"), []*os.File{w}); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if err := sys.AttachStream(s, os.Getpid()); err != nil {
		t.Error(err)
	}
	if err := sys.AttachStream(s, os.Getpid()); err == nil {
		t.Error("attached twice")
	}
	for range 2 {
		_ = s.Close()
	}
	if err := sys.AttachStream(sys.Pipes(r, w), 0); err != nil {
		t.Error(err)
	}
}

// TestHoldWaitedOn holds a pipe that is being read, and lets go of it: neither waits, nor ends the reading.
func TestHoldWaitedOn(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	done := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(r)
		done <- err
	}()
	f, err := sys.Hold(r, "again")
	if err == nil {
		err = sys.Release(f)
	}
	if err != nil {
		t.Error(err)
	}
	_ = w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// hostile are heads with handles that a child must not name.
var hostile = []struct {
	name    string
	handles []uint32
}{
	{"none", []uint32{0}},
	{"odd", []uint32{5}},
	{"process", []uint32{0xffffffff}},
	{"thread", []uint32{0xfffffffe}},
	{"token", []uint32{0xfffffffc}},
	{"closed", []uint32{0x7ffffffc}},
}

func init() {
	for _, h := range hostile {
		roles["hostile-"+h.name] = func(s sys.Stream) error {
			b := []byte{1, 0, 0, 0, byte(len(h.handles)), 0, 0, 0}
			for _, n := range h.handles {
				b = binary.LittleEndian.AppendUint32(b, n)
			}
			if _, err := raw.Write(append(b, 'x')); err != nil {
				return err
			}
			if _, _, err := s.Read(b); !errors.Is(err, io.EOF) { // until the test has seen it
				return err
			}
			return nil
		}
	}
}

// TestHostileChild has the child name handles that it does not have: an error of the stream.
func TestHostileChild(t *testing.T) {
	for _, h := range hostile {
		s, wait := start(t, "hostile-"+h.name)
		if n, files, err := s.Read(make([]byte, 8)); n != 0 || files != nil || err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %d, %v, %v", h.name, n, files, err)
		}
		_ = s.Close()
		wait()
	}
}
