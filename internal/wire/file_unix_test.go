//go:build unix

package wire_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xenonmp/xme/internal/wire"
)

type job struct {
	In, Out *os.File
	More    []*os.File
	Name    string
}

// openWith returns a file that holds text, at its beginning.
func openWith(t *testing.T, text string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// descriptors counts what this process has open, without what the runtime opens when it pleases.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(entries)
}

func contents(t *testing.T, f *os.File) string {
	t.Helper()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// feature: U1
func TestFiles(t *testing.T) {
	c := codecFor[job](t)
	pipeOut, pipeIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipeOut.Close()
	in := job{In: openWith(t, "the input"), Out: pipeIn, More: []*os.File{nil, openWith(t, "more")}, Name: "n"}
	name := in.In.Name()
	before := descriptors(t)

	sent := new(wire.Parcel)
	src, err := wire.Append(c, nil, &in, sent)
	if err != nil || len(sent.Items) != 3 {
		t.Fatalf("%d items, %v", len(sent.Items), err)
	}
	for _, it := range sent.Items {
		flags, err := unix.FcntlInt(it.File.Fd(), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("a child would inherit %s (%v)", it.File.Name(), err)
		}
	}
	_ = in.In.Close() // the originals are not needed any more
	_ = in.More[1].Close()
	_ = pipeIn.Close()

	// The link passes descriptors; it does not know their names.
	got := new(wire.Parcel)
	for _, it := range sent.Items {
		fd, err := unix.Dup(int(it.File.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		got.Items = append(got.Items, wire.Item{ID: it.ID, File: os.NewFile(uintptr(fd), "received")})
	}
	sent.Close()
	sent.Close()

	var out job
	if err := wire.Decode(c, src, &out, got); err != nil {
		t.Fatal(err)
	}
	if out.In.Name() != name || out.Name != "n" || out.More[0] != nil {
		t.Errorf("arrived as %+v, in %s", out, out.In.Name())
	}
	if s := contents(t, out.In); s != "the input" {
		t.Errorf("read %q", s)
	}
	if s := contents(t, out.More[1]); s != "more" {
		t.Errorf("read %q", s)
	}
	if _, err := out.Out.WriteString("through the pipe"); err != nil {
		t.Error(err)
	}
	got.Close() // leaves what was taken
	for i, f := range got.Taken() {
		if err := f.Close(); err != nil {
			t.Errorf("taken file %d: %v", i, err)
		}
	}
	if s := contents(t, pipeOut); s != "through the pipe" { // ends, so every copy of the other end is closed
		t.Errorf("read %q", s)
	}
	if n := descriptors(t); n != before-3 {
		t.Errorf("%d descriptors, there were %d, three closed", n, before)
	}
	if len(got.Taken()) != 3 || len(got.Items) != 0 {
		t.Errorf("%d taken, %d left", len(got.Taken()), len(got.Items))
	}
	if err := wire.Decode(c, src, &out, got); err == nil {
		t.Error("the same files were handed out again")
	}
}

// A file that does not block goes on not blocking, on both sides: Fd would have changed that for both.
func TestFileStaysNonBlocking(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	var p wire.Parcel
	defer p.Close()
	if _, err := wire.Append(codecFor[*os.File](t), nil, &r, &p); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{r, p.Items[0].File} {
		conn, err := f.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Control(func(fd uintptr) {
			if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
				t.Errorf("it blocks now (%v)", err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// feature: U1
func TestFileErrors(t *testing.T) {
	f, closed := openWith(t, "x"), openWith(t, "y")
	_ = closed.Close()
	one := codecFor[*os.File](t)
	many := codecFor[[]*os.File](t)
	var p wire.Parcel
	defer p.Close()
	first, err := wire.Append(one, nil, &f, &p)
	if err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)

	fails := func(name string, want string, unsupported bool, err error) {
		t.Helper()
		var ve *wire.ValueError
		if !errors.As(err, &ve) || !strings.Contains(err.Error(), want) || errors.Is(err, errors.ErrUnsupported) != unsupported {
			t.Errorf("%s: %v", name, err)
		}
		if n := descriptors(t); n != before || len(p.Items) != 1 || p.Items[0].File == nil {
			t.Errorf("%s: %d descriptors instead of %d, items %v", name, n, before, p.Items)
		}
	}
	appends := func(files ...*os.File) error {
		dst, err := wire.Append(many, []byte("before"), &files, &p)
		if string(dst) != "before" {
			t.Errorf("dst is %q", dst)
		}
		return err
	}
	crowd := make([]*os.File, 251)
	for i := range crowd {
		crowd[i] = f
	}
	fails("closed", "[1]: cannot hand it over: ", false, appends(f, closed))
	fails("empty", "panic", false, appends(f, new(os.File)))
	fails("too many", "[250]: cannot hand it over: more than 250 open files", false, appends(crowd...))
	_, err = wire.Append(one, nil, &f, nil)
	fails("no parcel to fill", "this executor does not carry open files", true, err)

	var got *os.File
	fails("no parcel to empty", "this executor does not carry open files", true, wire.Decode(one, first, &got, nil))
	fails("another parcel", "did not come along", true, wire.Decode(one, first, &got, new(wire.Parcel)))
	fails("too short", "too short", false, wire.Decode(one, []byte("\x03ab"), &got, &p))
	var files []*os.File
	fails("twice", "[1]: cannot take it over: the open file", true, wire.Decode(many, append([]byte{3}, append(first, first...)...), &files, &p))
	fails("broken later", "left over", false, wire.Decode(one, append(slices.Clip(first), 0), &got, &p))

	if err := wire.Decode(one, first, &got, &p); err != nil || contents(t, got) != "x" {
		t.Errorf("after all that: %v", err)
	}
	_ = got.Close()
	runtime.KeepAlive(f)
	var none *wire.Parcel
	none.Close()
	if len(none.Taken()) != 0 {
		t.Error("taken from nothing")
	}
}
