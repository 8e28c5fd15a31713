//go:build unix

package sys_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

func init() {
	roles["signals"] = func(in *bufio.Scanner) {
		begin := time.Now()
		stop := sys.CatchSignals()
		for fmt.Println("caught after", time.Since(begin)); in.Scan(); {
			switch in.Text() {
			case "ping":
				fmt.Println("pong")
			case "execute":
				fmt.Println(dispositions())
			case "notify":
				c := make(chan os.Signal, 1)
				signal.Notify(c, unix.SIGTERM)
				_ = unix.Kill(os.Getpid(), unix.SIGTERM)
				fmt.Println("notified of", <-c)
				signal.Stop(c)
			case "stop":
				stop()
				fmt.Println("stopped")
			case "print":
				// Again and again: a process that another test is just starting may hold the reader's end for a moment.
				for {
					if _, err := fmt.Println("nobody reads this"); errors.Is(err, unix.EPIPE) {
						os.Exit(7)
					}
				}
			}
		}
	}
	// nohup starts the role signals as the command of that name would.
	roles["nohup"] = func(*bufio.Scanner) {
		signal.Ignore(unix.SIGHUP)
		exe, err := os.Executable()
		if err == nil {
			err = syscall.Exec(exe, os.Args, append(os.Environ(), roleEnv+"=signals"))
		}
		fmt.Println(err)
	}
}

// dispositions executes a program, one that is not Go and leaves signals alone, and returns which signals it found
// ignored and blocked.
func dispositions() string {
	status, err := exec.Command("cat", "/proc/self/status").Output() //nolint:noctx // it ends at once
	var found []string
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "SigIgn:") || strings.HasPrefix(line, "SigBlk:") {
			found = append(found, strings.Join(strings.Fields(line), ""))
		}
	}
	return fmt.Sprint(found, err)
}

// TestCatchSignals sends a child whatever a user may, sees that it is still there and that what it executes starts as
// what this process executes; that a task can be notified all the same; and that without the catching it ends.
func TestCatchSignals(t *testing.T) {
	t.Parallel()
	c := start(t, "signals", inOwnGroup)
	t.Log(c.line())
	for _, s := range []unix.Signal{
		unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGTSTP, unix.SIGPIPE, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM,
		unix.SIGVTALRM, unix.SIGIO, unix.SIGXCPU, unix.SIGXFSZ, unix.SIGWINCH, unix.SIGCHLD, unix.SIGCONT, unix.SIGURG,
		unix.SIGPROF,
	} {
		if err := unix.Kill(c.pid(), s); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			c.tell("ping")
			c.want("pong")
		}
	}
	c.tell("execute")
	c.want(dispositions())
	c.tell("notify")
	c.want("notified of terminated")

	c.tell("stop")
	c.want("stopped")
	_ = unix.Kill(c.pid(), unix.SIGTERM)
	if code, signal := sys.Ended(c.await()); signal != "SIGTERM" {
		t.Errorf("no longer caught: %d %s, want SIGTERM", code, signal)
	}
}

// TestCatchSignalsLeavesQuit asks a child for the dump of its goroutines.
func TestCatchSignalsLeavesQuit(t *testing.T) {
	t.Parallel()
	c := start(t, "signals", inOwnGroup)
	c.line()
	if err := sys.Quit(c.pid()); err != nil {
		t.Fatal(err)
	}
	if out := c.rest(); !strings.Contains(out, "SIGQUIT: quit") || !strings.Contains(out, "goroutine 1 ") {
		t.Errorf("no dump in\n%s", out)
	}
	if code, signal := sys.Ended(c.await()); code != 2 || signal != "" {
		t.Errorf("ended by %d %s, want exit code 2", code, signal)
	}
}

// TestPrintToNobody has a child print after the reader of its output has gone.
func TestPrintToNobody(t *testing.T) {
	t.Parallel()
	c := start(t, "signals", inOwnGroup)
	c.line()
	_ = c.out.Close()
	c.tell("print")
	if code, signal := sys.Ended(c.await()); code != 7 {
		t.Errorf("ended by %d %s, want an error of the print", code, signal)
	}
}

// TestCatchSignalsUnderNohup holds that what the user has ignored stays so for what a task executes.
func TestCatchSignalsUnderNohup(t *testing.T) {
	t.Parallel()
	c := start(t, "nohup", inOwnGroup)
	if got := c.line(); !strings.HasPrefix(got, "caught") {
		t.Fatal(got)
	}
	_ = unix.Kill(c.pid(), unix.SIGHUP)
	c.tell("ping")
	c.want("pong")
	c.tell("execute")
	got := c.line()
	_, after, _ := strings.Cut(got, "SigIgn:")
	ignored, err := strconv.ParseUint(strings.TrimRight(after, "]<nil> "), 16, 64)
	if _, e := os.Stat("/proc/self/status"); e != nil {
		t.Skip("no /proc to look into")
	}
	if err != nil || ignored&1 == 0 {
		t.Errorf("%s: SIGHUP is not ignored any more (%v)", got, err)
	}
}
