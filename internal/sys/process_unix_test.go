//go:build unix

package sys_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

func init() {
	// process does what it is told and ends by it.
	roles["process"] = func(in *bufio.Scanner) {
		fmt.Println("ready")
		in.Scan()
		switch in.Text() {
		case "exit":
			os.Exit(9)
		case "large":
			b, _ := unix.Mmap(-1, 0, largeChild, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
			for i := range b {
				b[i] = 1
			}
		}
	}
}

const largeChild = 192 << 20

func inOwnGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func TestInherit(t *testing.T) {
	t.Parallel()
	a, b := temp(t, ""), temp(t, "")
	list, names, attr := sys.Inherit(a, b)
	if len(list) != 2 || list[0] != a || list[1] != b || strings.Join(names, " ") != "3 4" || !attr.Setpgid {
		t.Errorf("%v, %v, %+v", list, names, attr)
	}
}

func TestEnded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end    func(c *child)
		code   int
		signal string
	}{
		"well":      {func(c *child) { c.tell("") }, 0, ""},
		"exit":      {func(c *child) { c.tell("exit") }, 9, ""},
		"killed":    {func(c *child) { _ = sys.KillGroup(c.pid()) }, -1, "SIGKILL"},
		"signalled": {func(c *child) { _ = unix.Kill(c.pid(), unix.SIGTERM) }, -1, "SIGTERM"},
		"dump":      {func(c *child) { _ = sys.Quit(c.pid()) }, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, "process", inOwnGroup)
			c.want("ready")
			tc.end(c)
			if code, signal := sys.Ended(c.await()); code != tc.code || signal != tc.signal {
				t.Errorf("%d %s, want %d %s", code, signal, tc.code, tc.signal)
			}
		})
	}
}

func TestPeakMemory(t *testing.T) {
	t.Parallel()
	c := start(t, "process")
	c.want("ready")
	c.tell("large")
	if peak := sys.PeakMemory(c.await()); peak < largeChild || peak > 2*largeChild {
		t.Errorf("%d bytes, want a little over %d", peak, largeChild)
	}
}

// TestReadNow reads a pipe with something in it, with nothing, and ended, its deadline long past.
func TestReadNow(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_ = r.SetReadDeadline(time.Unix(1, 0))
	b := make([]byte, 64)
	if _, err := w.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"hello", ""} {
		if n, err := sys.ReadNow(r, b); string(b[:n]) != want || err != nil {
			t.Errorf("%q, %v; want %q", b[:n], err, want)
		}
	}
	_ = w.Close()
	if n, err := sys.ReadNow(r, b); n != 0 || err != nil {
		t.Errorf("ended: %d, %v", n, err)
	}
	_ = r.Close()
	if n, err := sys.ReadNow(r, b); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %d, %v", n, err)
	}
}

// TestDuplicate reads from a duplicate when the first is closed; the pipe still does not block.
func TestDuplicate(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	again, err := sys.Duplicate(r, "again")
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	_ = r.Close()
	if _, err := w.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64)
	if n, err := again.Read(b); string(b[:n]) != "hello" || err != nil || again.Name() != "again" {
		t.Errorf("%s: %q, %v", again.Name(), b[:n], err)
	}
	if err := again.SetReadDeadline(time.Now()); err != nil {
		t.Error("the duplicate blocks:", err)
	}
	if _, err := again.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if !closesOnExec(t, again) {
		t.Error("it may be inherited")
	}
	if _, err := sys.Duplicate(r, ""); !errors.Is(err, os.ErrClosed) {
		t.Errorf("of a closed file: %v", err)
	}
}
