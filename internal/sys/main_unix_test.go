//go:build unix

package sys_test

import (
	"bufio"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roles are what this binary does when a test has started it as a child. A role speaks to its test in lines: the test
// writes to its standard input and reads what it prints.
var roles = map[string]func(in *bufio.Scanner){}

// roleEnv names a child's role.
const roleEnv = "XME_SYS_TEST_ROLE"

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
