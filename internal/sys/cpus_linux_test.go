package sys_test

import (
	"bufio"
	"fmt"
	"os"
	"testing"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

func init() {
	roles["cpus"] = func(*bufio.Scanner) {
		var all, one unix.CPUSet
		err := unix.SchedGetaffinity(0, &all)
		for i := range 1024 {
			if all.IsSet(i) {
				one.Set(i)
				break
			}
		}
		if err == nil {
			err = unix.SchedSetaffinity(os.Getpid(), &one)
		}
		n, why := sys.CPUs()
		fmt.Println(n, why, err)
	}
}

// TestCPUsFollowAffinity has a child bind itself to one CPU: what it was started with no longer counts.
func TestCPUsFollowAffinity(t *testing.T) {
	t.Parallel()
	if n, why := sys.CPUs(); n < 1 || why == "" {
		t.Errorf("here %d by %q", n, why)
	}
	c := start(t, "cpus")
	var n int
	var why string
	if _, err := fmt.Sscan(c.line(), &n, &why); err != nil || n != 1 {
		t.Errorf("bound to one CPU: %d by %q, %v", n, why, err)
	}
	c.await()
}
