package sys_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

func init() {
	roles["state"] = func(in *bufio.Scanner) {
		// A name that looks like the state of another process.
		err := os.WriteFile("/proc/self/comm", []byte("x) T (y"), 0)
		for fmt.Println("ready", err); in.Scan(); {
			fmt.Println(sys.Traced())
		}
	}
}

// stopped waits until the child changes state in the way options say, and returns what Stopped says then.
func stopped(t *testing.T, pid, options int) bool {
	t.Helper()
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, options|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		s, err := sys.Stopped(pid)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	c := start(t, "state")
	c.want("ready <nil>")
	if s, err := sys.Stopped(c.pid()); s || err != nil {
		t.Errorf("running: %v, %v", s, err)
	}
	_ = unix.Kill(c.pid(), unix.SIGSTOP)
	if !stopped(t, c.pid(), unix.WSTOPPED) {
		t.Error("it is stopped and Stopped does not say so")
	}
	_ = unix.Kill(c.pid(), unix.SIGCONT)
	if stopped(t, c.pid(), unix.WCONTINUED) {
		t.Error("it goes on and Stopped does not say so")
	}
	_ = c.in.Close()
	c.await()
	if _, err := sys.Stopped(c.pid()); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("reaped: %v", err)
	}
}

// TestTraced attaches to a child as a debugger does: it is held, which is not stopped, and knows that it is traced.
func TestTraced(t *testing.T) {
	t.Parallel()
	c := start(t, "state")
	c.want("ready <nil>")
	c.tell("")
	c.want("false")

	runtime.LockOSThread() // a thread is the debugger
	defer runtime.UnlockOSThread()
	if err := unix.PtraceAttach(c.pid()); err != nil {
		t.Skip("no debugger may attach here:", err)
	}
	var st unix.WaitStatus
	if _, err := unix.Wait4(c.pid(), &st, unix.WALL, nil); err != nil || !st.Stopped() {
		t.Fatalf("attached: %v, %v", st, err)
	}
	if s, err := sys.Stopped(c.pid()); s || err != nil {
		t.Errorf("held by a debugger: stopped %v, %v", s, err)
	}
	if err := unix.PtraceCont(c.pid(), 0); err != nil {
		t.Fatal(err)
	}
	c.tell("")
	answer := make(chan string, 1)
	go func() { answer <- c.read() }()
	for {
		select {
		case got := <-answer:
			if got != "true\n" {
				t.Errorf("traced: the child says %q, want true", got)
			}
			return
		default: // the child's runtime may be sent a signal meanwhile, which a debugger sees first
			if pid, err := unix.Wait4(c.pid(), &st, unix.WALL|unix.WNOHANG, nil); pid > 0 && err == nil && st.Stopped() {
				_ = unix.PtraceCont(c.pid(), int(st.StopSignal()))
			}
			runtime.Gosched()
		}
	}
}
