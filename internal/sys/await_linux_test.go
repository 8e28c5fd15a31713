package sys_test

import (
	"errors"
	"os"
	"testing"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

// TestAwaitExitHoldsNoThread waits for many children at once. It runs alone, for it counts threads.
func TestAwaitExitHoldsNoThread(t *testing.T) {
	fd, err := unix.PidfdOpen(os.Getpid(), unix.PIDFD_NONBLOCK)
	if err != nil {
		t.Skip("this kernel has no pidfd that does not block:", err)
	}
	_ = unix.Close(fd)
	const many = 30
	var children []*child
	ended := make(chan error, many)
	before := threads(t)
	for range many {
		c := start(t, "process")
		c.want("ready")
		children = append(children, c)
		go func() { ended <- sys.AwaitExit(c.pid()) }()
	}
	select {
	case err := <-ended:
		t.Fatalf("it returns (%v) while all live", err)
	default:
	}
	// Each child's end is seen and leaves it to be reaped.
	for _, c := range children {
		_ = c.cmd.Process.Kill()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if now := threads(t); now > before+many/2 {
		t.Errorf("%d threads became %d", before, now)
	}
	for _, c := range children {
		if _, signal := sys.Ended(c.await()); signal != "SIGKILL" {
			t.Errorf("ended by %q", signal)
		}
	}
	if err := sys.AwaitExit(children[0].pid()); !errors.Is(err, unix.ECHILD) {
		t.Errorf("reaped: %v", err)
	}
}

func threads(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skip(err)
	}
	return len(list)
}
