package sys_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

func init() {
	// leashed arms the pipe that it inherited as descriptor 3, then does what it is told.
	roles["leashed"] = func(in *bufio.Scanner) {
		for in.Scan() {
			switch in.Text() {
			case "arm":
				fmt.Println("armed", sys.DieWith(3))
			case "spin":
				for range runtime.GOMAXPROCS(0) {
					go func() {
						for n := 0; ; n++ { // without a call
						}
					}()
				}
				fmt.Println("spins")
			case "exit":
				os.Exit(7)
			case "start":
				cmd := exec.Command("/proc/self/exe") //nolint:noctx // its end is a case of the test
				cmd.Env = append(os.Environ(), roleEnv+"=sleeper")
				cmd.Stdout = os.Stdout
				err := cmd.Start()
				if err != nil {
					fmt.Println(err)
				}
			}
		}
	}
	roles["sleeper"] = func(*bufio.Scanner) {
		fmt.Println("sleeps")
		for {
			_ = unix.Pause()
		}
	}
}

// leash starts a child on a leash.
func leash(t *testing.T) (*sys.Leash, *child) {
	t.Helper()
	l, inherit, err := sys.NewLeash()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c := start(t, "leashed", inOwnGroup, func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{inherit} })
	_ = inherit.Close()
	if err := l.Attach(c.pid()); err != nil {
		t.Fatal(err)
	}
	return l, c
}

// killed fails unless the child and all it started are gone, the child by SIGKILL.
func (c *child) killed() {
	c.t.Helper()
	c.rest()
	if code, signal := sys.Ended(c.await()); signal != "SIGKILL" {
		c.t.Errorf("the child ended with %d %s, want SIGKILL", code, signal)
	}
}

// TestLeash lets go of children in every state. Another child, started while the leash was held, lives on: if it had
// inherited the end, the kernel would not act.
func TestLeash(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(c *child){
		"idle":     func(*child) {},
		"spinning": func(c *child) { c.tell("spin"); c.want("spins") },
		"stopped": func(c *child) {
			_ = unix.Kill(c.pid(), unix.SIGSTOP)
			if !stopped(t, c.pid(), unix.WSTOPPED) {
				t.Error("it does not stop")
			}
		},
		"with a child": func(c *child) { c.tell("start"); c.want("sleeps") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, c := leash(t)
			start(t, "sleeper").want("sleeps")
			c.tell("arm")
			c.want("armed <nil>")
			prepare(c)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			c.killed()
			if err := l.Close(); err != nil {
				t.Errorf("closed again: %v", err)
			}
		})
	}
}

// TestLeashOfTheDead lets go of a child that has ended by itself and was not reaped, and had started another: that one
// is killed all the same.
func TestLeashOfTheDead(t *testing.T) {
	t.Parallel()
	l, c := leash(t)
	c.tell("arm")
	c.want("armed <nil>")
	c.tell("start")
	c.want("sleeps")
	c.tell("exit")
	if err := sys.AwaitExit(c.pid()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c.rest()
	if code, _ := sys.Ended(c.await()); code != 7 {
		t.Errorf("the child ended with %d, want 7", code)
	}
}

// TestLivenessIsTheSame holds the older form of a leash.
func TestLivenessIsTheSame(t *testing.T) {
	t.Parallel()
	mine, theirs, err := sys.Liveness()
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	c := start(t, "leashed", inOwnGroup, func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{theirs} })
	_ = theirs.Close()
	c.tell("arm")
	c.want("armed <nil>")
	_ = mine.Close()
	c.killed()
}

// TestLeashGoneBeforeArming lets go before the child has armed the pipe, which raises no signal.
func TestLeashGoneBeforeArming(t *testing.T) {
	t.Parallel()
	l, c := leash(t)
	_ = l.Close()
	c.tell("arm")
	if got := c.line(); !strings.Contains(got, "the driver is gone") {
		t.Errorf("the child says %q", got)
	}
}

// TestLeashKill kills a child that never armed the pipe, and what it has started.
func TestLeashKill(t *testing.T) {
	t.Parallel()
	l, c := leash(t)
	c.tell("start")
	c.want("sleeps")
	if err := l.Kill(c.pid()); err != nil {
		t.Fatal(err)
	}
	c.rest()
	if err := sys.AwaitExit(c.pid()); err != nil {
		t.Fatal(err)
	}
	if err := l.Kill(c.pid()); err != nil {
		t.Errorf("dead, not reaped: %v", err)
	}
	c.killed()
}

func TestNoLeash(t *testing.T) {
	t.Parallel()
	var l *sys.Leash
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	const nobody = 1 << 30 // above what a process number may be
	if err := l.Kill(nobody); err != nil {
		t.Errorf("a group that is gone: %v", err)
	}
}
