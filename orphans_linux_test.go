package xme_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/xmetest"
)

// A worker whose liveness pipe cannot be armed serves all the same: the end of its link ends it.
// feature: S12
func TestWorkerWithoutLiveness(t *testing.T) {
	t.Parallel()
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	mine, its := os.NewFile(uintptr(ends[0]), "mine"), os.NewFile(uintptr(ends[1]), "its")
	defer mine.Close()
	worker := exec.CommandContext(t.Context(), os.Args[0])
	worker.Env = append(os.Environ(), proc.WorkerEnv+"=probe:3,9999:alive")
	worker.ExtraFiles = []*os.File{its}
	worker.Stderr = os.Stderr
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	_ = its.Close()
	if n, err := mine.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("it is not up: %v", err)
	}
	_ = mine.Close()
	if err := worker.Wait(); err != nil {
		t.Error(err)
	}
}

// A driver that is killed takes its workers along, stopped ones too, and what these
// have started: the kernel does it, nobody of them needs to run for it.
// feature: F1, P10
func TestKilledDriverLeavesNothing(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "orphans")
	buildPrograms(t, bin, "./testdata/programs/orphans")
	for _, state := range []string{"running", "stopped"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			driver := exec.CommandContext(t.Context(), bin)
			out, err := driver.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := driver.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			var worker, child int
			if _, scanErr := fmt.Sscan(line, &worker, &child); err != nil || scanErr != nil {
				t.Fatalf("the driver printed %q, %v", line, err)
			}
			if state == "stopped" {
				stop(t, worker)
				wait(t, func() bool {
					stopped, err := sys.Stopped(worker)
					return stopped || err != nil
				})
			}
			if err := driver.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = driver.Wait()
			for _, pid := range []int{worker, child} {
				wait(t, func() bool { return ended(pid) })
			}
		})
	}
}

// ended reports whether a process is gone, or dead and waits for init to reap it.
func ended(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}

// A row whose process catches the question for its goroutines is killed all the same.
// feature: S12
func TestLadderKillsWhoCatchesTheQuestion(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Grace: time.Millisecond})
	if _, err := deafen.Call(t.Context(), pool, 0); err != nil {
		t.Fatal(err)
	}
	_, err := deaf.With(xme.Timeout(time.Millisecond)).Call(t.Context(), pool, 0)
	var e *xme.Error
	if !errors.As(err, &e) || !errors.Is(err, xme.ErrTimeout) || e.Signal != "SIGKILL" {
		t.Errorf("%v, want it killed for its time", err)
	}
	if n, err := square.Call(t.Context(), pool, 6); n != 36 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

// deafen has its process catch the question for good: a row may be asked before its first statement.
var deafen = xme.Register("deafen", func(context.Context, int) (int, error) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGQUIT)
	return 0, nil
})

var deaf = xme.Register("deaf", func(context.Context, int) (int, error) { select {} })
