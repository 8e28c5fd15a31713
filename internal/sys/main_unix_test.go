//go:build unix

package sys_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// roles are what this binary does when a test has started it as a child. A role speaks to its test in lines: the test
// writes to its standard input and reads what it prints.
var roles = map[string]func(in *bufio.Scanner){}

// roleEnv names a child's role.
const roleEnv = "XME_SYS_TEST_ROLE"

// patience bounds every wait for what must come; it is no measure of how long that takes.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if name := os.Getenv(roleEnv); name != "" {
		_ = os.Unsetenv(roleEnv)
		roles[name](bufio.NewScanner(os.Stdin))
		os.Exit(0)
	}
	before := openFiles()
	code := m.Run()
	if leaked := openFiles() - before; code == 0 && leaked > 0 {
		fmt.Fprintf(os.Stderr, "%d descriptors are left open\n", leaked)
		code = 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// openFiles counts descriptors without the poller's own, where that can be known.
func openFiles() (n int) {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	for _, e := range list {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && target != "anon_inode:[eventpoll]" && target != "anon_inode:[eventfd]" {
			n++
		}
	}
	return n
}

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
