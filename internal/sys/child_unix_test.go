//go:build unix

package sys_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait for what must come; it is no measure of how long that takes.
const patience = 20 * time.Second

// A child is this binary in a role.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	in  *os.File // its standard input's write end
	out *os.File // read end of a pipe that is its standard output and error
	buf *bufio.Reader
}

// start starts a child; set may change how. The test's end kills it if it still lives, and reaps it.
func start(t *testing.T, role string, set ...func(*exec.Cmd)) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(exe), in: inW, out: outR, buf: bufio.NewReader(outR)} //nolint:noctx // its end is a case of the tests
	c.cmd.Env = append(os.Environ(), roleEnv+"="+role)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = inR, outW, outW
	for _, f := range set {
		f(c.cmd)
	}
	err = c.cmd.Start()
	_, _ = inR.Close(), outW.Close()
	t.Cleanup(func() {
		if err == nil && c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
		_, _ = inW.Close(), outR.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// tell writes a line to the child.
func (c *child) tell(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		c.t.Fatal(err)
	}
}

// line reads the next line of the child's output.
func (c *child) line() string {
	c.t.Helper()
	s := c.read()
	if !strings.HasSuffix(s, "\n") {
		c.t.Fatalf("no line comes, after %q", s)
	}
	return strings.TrimSuffix(s, "\n")
}

// read reads the next line, or what there is of one when no more comes.
func (c *child) read() string {
	_ = c.out.SetReadDeadline(time.Now().Add(patience))
	s, _ := c.buf.ReadString('\n')
	return s
}

// want reads the next line and fails unless it is the one that is wanted.
func (c *child) want(line string) {
	c.t.Helper()
	if got := c.line(); got != line {
		c.t.Fatalf("the child says %q, want %q", got, line)
	}
}

// rest reads the child's output until nobody, neither the child nor what it has started, can write to it any more.
func (c *child) rest() string {
	c.t.Helper()
	_ = c.out.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(c.buf)
	if err != nil {
		c.t.Fatalf("after %q: %v", b, err)
	}
	return string(b)
}

// await returns how the child ended.
func (c *child) await() *os.ProcessState {
	c.t.Helper()
	late := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
	_ = c.cmd.Wait() // how it ended is in ProcessState
	if !late.Stop() {
		c.t.Fatal("the child does not end")
	}
	return c.cmd.ProcessState
}

// temp makes a file with a text in it.
func temp(t *testing.T, text string) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	return f
}

// texts reads files from their start and closes them.
func texts(t *testing.T, files []*os.File) (all []string) {
	t.Helper()
	for _, f := range files {
		b := make([]byte, 64)
		n, err := f.ReadAt(b, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		all = append(all, string(b[:n]))
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	return all
}

func closesOnExec(t *testing.T, f *os.File) bool {
	t.Helper()
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.FD_CLOEXEC != 0
}
