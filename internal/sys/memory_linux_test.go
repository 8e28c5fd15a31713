package sys_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

// block is how much a child takes at once.
const block = 64 << 20

// held keeps what a child has taken.
var held [][]byte

func init() {
	roles["memory"] = func(in *bufio.Scanner) {
		for fmt.Println("ready"); in.Scan(); {
			sort := unix.MAP_PRIVATE
			if in.Text() == "shared" {
				sort = unix.MAP_SHARED
			}
			b, err := unix.Mmap(-1, 0, block, unix.PROT_READ|unix.PROT_WRITE, sort|unix.MAP_ANON)
			if in.Text() != "untouched" {
				for i := 0; i < len(b); i += 4096 {
					b[i] = 1
				}
			}
			fmt.Println("done", err)
		}
	}
	roles["hungry"] = func(in *bufio.Scanner) {
		fmt.Println("ready")
		for in.Scan() {
			hungry(in.Text())
		}
	}
}

// hungry takes memory until there is none.
func hungry(how string) {
	type node struct {
		next *node
		_    [48]byte
	}
	var last *node
	m := map[int]*node{}
	for i := range 1 << 27 {
		switch how {
		case "slice":
			held = append(held, make([]byte, 1<<30))
		case "slices":
			held = append(held, make([]byte, 64<<10))
		case "values":
			last = &node{next: last}
		case "map":
			m[i] = last
		case "goroutines":
			go func() { select {} }()
		case "threads":
			go func() {
				runtime.LockOSThread()
				_ = unix.Pause()
			}()
			runtime.Gosched()
		}
	}
	fmt.Println("there was enough", last, m)
}

func memory(t *testing.T, pid int) int64 {
	t.Helper()
	n, err := sys.Memory(pid)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func dataSize(t *testing.T, pid int) int64 {
	t.Helper()
	n, err := sys.DataSize(pid)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMemory watches a child that takes memory of three sorts, and ends.
// The groups of a process's user stand before what is looked for, as many as there are.
func TestMemoryOfWhoIsInManyGroups(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root may be in groups that it likes")
	}
	groups := make([]uint32, 5000)
	for i := range groups {
		groups[i] = uint32(100_000 + i)
	}
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: groups}}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if n, err := sys.DataSize(cmd.Process.Pid); n <= 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	c := start(t, "memory")
	c.want("ready")
	const slack = block / 4
	for _, step := range []struct {
		what           string
		resident, data int64
	}{{"shared", 0, 0}, {"private", block, block}, {"untouched", 0, block}} {
		resident, data := memory(t, c.pid()), dataSize(t, c.pid())
		c.tell(step.what)
		c.want("done <nil>")
		if more := memory(t, c.pid()) - resident; more < step.resident-slack || more > step.resident+slack {
			t.Errorf("%s: %d bytes more in memory, want %d", step.what, more, step.resident)
		}
		if more := dataSize(t, c.pid()) - data; more < step.data-slack || more > step.data+slack {
			t.Errorf("%s: %d bytes more of data, want %d", step.what, more, step.data)
		}
	}
	// The shared block counts as resident, the untouched one does not.
	if peak, err := sys.PeakResident(c.pid()); err != nil || peak < 2*block || peak > 3*block {
		t.Errorf("peak %d, %v", peak, err)
	}

	_ = c.in.Close()
	c.rest()
	if err := sys.AwaitExit(c.pid()); err != nil {
		t.Fatal(err)
	}
	if n := memory(t, c.pid()); n != 0 {
		t.Errorf("dead, it holds %d bytes", n)
	}
	if _, err := sys.DataSize(c.pid()); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("dead: %v", err)
	}
	c.await()
	if _, err := sys.Memory(c.pid()); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("reaped: %v", err)
	}
	if n, err := sys.Memory(0); n < 100<<10 || err != nil {
		t.Errorf("of this process: %d, %v", n, err)
	}
}

// TestLimitData has children take memory in many ways until the limit that was set from outside refuses it, and holds
// what LimitData says of how they end.
func TestLimitData(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"slice", "slices", "values", "map", "goroutines", "threads"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c := start(t, "hungry", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "GOTRACEBACK=none", "GORACE=atexit_sleep_ms=0") })
			c.want("ready")
			limit := dataSize(t, c.pid()) + 32<<20
			if err := sys.LimitData(c.pid(), limit); err != nil {
				t.Fatal(err)
			}
			if got, err := sys.DataLimit(c.pid()); err != nil || got != limit {
				t.Fatalf("limit %d, %v; want %d", got, err, limit)
			}
			c.tell(how)
			output := c.rest()
			if line, ok := sys.OutOfMemory(output); !ok {
				t.Errorf("no line is known in\n%s", output)
			} else {
				t.Log(line)
			}
			want := 2
			if strings.Contains(output, "ThreadSanitizer") {
				want = 66
			}
			if code, signal := sys.Ended(c.await()); code != want || signal != "" {
				t.Errorf("exit code %d %s, want %d", code, signal, want)
			}
		})
	}
}

// TestLimitDataLifted sets a limit that is too small, lifts it and finds the process well.
func TestLimitDataLifted(t *testing.T) {
	t.Parallel()
	c := start(t, "memory")
	c.want("ready")
	before, err := sys.DataLimit(c.pid())
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.LimitData(c.pid(), 0); err != nil {
		t.Fatal(err)
	}
	if l, err := sys.DataLimit(c.pid()); l != 1 || err != nil {
		t.Errorf("limit of nothing: %d, %v", l, err)
	}
	if err := sys.LimitData(c.pid(), -1); err != nil {
		t.Fatal(err)
	}
	if l, err := sys.DataLimit(c.pid()); l != before || err != nil {
		t.Errorf("lifted: %d, %v; want %d", l, err, before)
	}
	c.tell("private")
	c.want("done <nil>")
}

func TestNoCore(t *testing.T) {
	t.Parallel()
	c := start(t, "memory")
	c.want("ready")
	if err := sys.NoCore(c.pid()); err != nil {
		t.Fatal(err)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", c.pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			if f := strings.Fields(rest); f[0] != "0" || f[1] != "0" {
				t.Errorf("limits are %v", f)
			}
			return
		}
	}
	t.Error("no limit found")
}

func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		_, _ = sys.Memory(os.Getppid())
	}
}

func BenchmarkDataSize(b *testing.B) {
	for b.Loop() {
		_, _ = sys.DataSize(os.Getppid())
	}
}
