package sys_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

// TestPin moves a child to one CPU and back.
func TestPin(t *testing.T) {
	t.Parallel()
	cpus, err := sys.Affinity()
	if err != nil || len(cpus) == 0 || !slices.IsSorted(cpus) {
		t.Fatalf("CPUs %v, %v", cpus, err)
	}
	c := start(t, "process")
	c.want("ready")
	last := cpus[len(cpus)-1]
	all := allowed(t, c.pid())
	restore, err := sys.Pin(c.pid(), last)
	if err != nil {
		t.Fatal(err)
	}
	for thread, got := range allowed(t, c.pid()) {
		if got != fmt.Sprint(last) {
			t.Errorf("thread %s may run on %s, want %d", thread, got, last)
		}
	}
	if err := restore(); err != nil {
		t.Error(err)
	}
	for thread, got := range allowed(t, c.pid()) {
		if want, ok := all[thread]; ok && got != want {
			t.Errorf("thread %s may run on %s, want %s", thread, got, want)
		}
	}
}

// allowed returns the list of CPUs of each thread, as the kernel writes it.
func allowed(t *testing.T, pid int) map[string]string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/task", pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	lists := map[string]string{}
	for _, e := range list {
		status, _ := os.ReadFile(dir + "/" + e.Name() + "/status")
		if _, after, ok := strings.Cut(string(status), "Cpus_allowed_list:"); ok {
			lists[e.Name()] = strings.Fields(after)[0]
		}
	}
	return lists
}

func TestPinRefuses(t *testing.T) {
	t.Parallel()
	c := start(t, "process")
	c.want("ready")
	for _, cpus := range [][]int{{}, {-1}, {1 << 20}, {1023}} {
		if _, err := sys.Pin(c.pid(), cpus...); !errors.Is(err, unix.EINVAL) {
			t.Errorf("CPUs %v: %v", cpus, err)
		}
	}
	_ = c.cmd.Process.Kill()
	c.await()
	if _, err := sys.Pin(c.pid(), 0); !errors.Is(err, unix.ESRCH) && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ended: %v", err)
	}
}
