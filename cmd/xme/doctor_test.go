package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/sys"
)

// healthy is a machine without fault.
func healthy() facts {
	return facts{
		Facts: sys.Facts{
			Kernel: "6.8.0-31-generic", Online: 8, CPUs: 8, Why: "affinity", Memory: 16 << 30, Available: 8 << 30, Swap: 0,
			MemoryGroup: "/sys/fs/cgroup/user.slice/app", Overcommit: 0, Files: sys.Limit{Soft: 1 << 20, Hard: 1 << 20}, Processes: sys.Limit{Soft: -1, Hard: -1},
			Shm: 8 << 30, PID: 77, Init: "systemd", Ptrace: -1, Cores: "core", HugePages: "madvise", Clock: "tsc",
		},
		OS: "linux", Arch: "amd64", Go: "go1.26", Version: "v1, protocol 3", Procs: 8, ClockCost: 50 * time.Nanosecond,
		Trials: []sys.Trial{{Name: sys.TryMemfd}, {Name: sys.TryEventfd}},
		Proof: proof{
			Stage: "the last", Opened: 3 * time.Millisecond, Hot: 800 * time.Nanosecond, Parked: 70 * time.Microsecond, Replaced: time.Millisecond,
			Lane: true, Files: 8, Threads: 7,
		},
	}
}

// feature: U4
func TestHealthyMachine(t *testing.T) {
	t.Parallel()
	list := judge(healthy())
	if worstOf(list) != fine || len(list) < 18 {
		t.Errorf("%d findings, the worst %s: %+v", len(list), worstOf(list), list)
	}
	for _, f := range list {
		if f.Do != "" || f.Found == "" {
			t.Errorf("%+v", f)
		}
	}
}

// Each fault alone, on a machine that has no other.
//
// feature: U4
func TestJudge(t *testing.T) {
	t.Parallel()
	refused := errors.New("operation not permitted")
	for name, tc := range map[string]struct {
		fault func(f *facts)
		check string // the finding that it makes
		grade grade
		found string // in it
		do    string
	}{
		"no pool":         {func(f *facts) { f.Proof = proof{Stage: "open a pool", Err: refused} }, "pool", bad, "could not open a pool: operation not permitted", "sandbox"},
		"leaks":           {func(f *facts) { f.Proof.Left = 2 }, "pool", warns, "2 descriptors were left open", "report"},
		"windows":         {func(f *facts) { f.OS = "windows" }, "system", note, "no memory limits", "microseconds"},
		"darwin":          {func(f *facts) { f.OS = "darwin" }, "system", note, "the portable link (sockets)", "microseconds"},
		"darwin's link":   {func(f *facts) { f.OS = "darwin" }, "link", note, "a socket", ""},
		"no limits there": {func(f *facts) { f.OS = "darwin" }, "memory limits", note, "refused", "bound the whole program"},
		"old kernel":      {func(f *facts) { f.Kernel = "5.4.0-generic" }, "system", note, "older than 5.14", "newer"},
		"arm":             {func(f *facts) { f.Arch = "arm64" }, "system", note, "linux/arm64", "xme bench"},
		"half a CPU":      {func(f *facts) { f.CPUs, f.Quotas = 2, []sys.Level{{Name: "/a", Value: 1.5}} }, "cpus", note, "quotas: 1.5 of /a", "no whole number"},
		"whole quota": {func(f *facts) {
			f.CPUs, f.Procs, f.Quotas = 2, 2, []sys.Level{{Name: "/a/b", Value: 2}, {Name: "/a", Value: 3}}
		}, "cpus", fine, "quotas: 2 of /a/b, 3 of /a", ""},
		"one CPU":          {func(f *facts) { f.CPUs, f.Procs = 1, 1 }, "cpus", note, "1 usable", "take turns"},
		"GOMAXPROCS":       {func(f *facts) { f.Procs = 64 }, "gomaxprocs", note, "64 in the driver", "set GOMAXPROCS"},
		"slow clock":       {func(f *facts) { f.Clock, f.ClockCost = "hpet", 2*time.Microsecond }, "clock", warns, "hpet, 2µs for a look", "use tsc"},
		"powersave":        {func(f *facts) { f.Governor = "powersave" }, "clock", note, "powersave", "performance"},
		"little memory":    {func(f *facts) { f.Available = 20 << 20 }, "memory", warns, "20 MiB available", "Options.Workers"},
		"available?":       {func(f *facts) { f.Available = -1 }, "memory", fine, "16 GiB, how much of it is available is not known", ""},
		"limited memory":   {func(f *facts) { f.Limits = []sys.Level{{Name: "/pod", Value: 64 << 20, Left: -1}} }, "memory", warns, "limit 64 MiB of /pod", "raise the limit"},
		"memory in use":    {func(f *facts) { f.Limits = []sys.Level{{Name: "/pod", Value: 4 << 30, Left: 20 << 20}} }, "memory", warns, "limit 4096 MiB of /pod, 20 MiB left", "raise the limit"},
		"wide limit":       {func(f *facts) { f.Limits = []sys.Level{{Name: "/pod", Value: 4 << 30, Left: 3 << 30}} }, "memory", fine, "limit 4096 MiB of /pod", ""},
		"no control group": {func(f *facts) { f.MemoryGroup, f.NoMemoryGroup = "", "/: read-only" }, "memory limits", note, "RLIMIT_DATA and a look every 25 ms: /: read-only", "delegate"},
		"overcommit":       {func(f *facts) { f.Overcommit = 2 }, "overcommit", warns, "mode 2", "vm.overcommit_memory"},
		"swap":             {func(f *facts) { f.Swap = 2 << 30 }, "swap", note, "2048 MiB", "disk"},
		"huge pages":       {func(f *facts) { f.HugePages = "always" }, "huge pages", note, "always", "madvise"},
		"no shared memory": {func(f *facts) { f.Proof.Lane, f.Trials[0].Err = false, refused }, "link", warns, "a socket alone: memfd_create: operation not permitted", "allow"},
		"memfd refused":    {func(f *facts) { f.Trials[0].Err = refused }, "system call", warns, "memfd_create: operation not permitted", "over the socket"},
		"eventfd refused":  {func(f *facts) { f.Trials[1].Err = refused }, "system call", warns, "eventfd2: operation not permitted", "Go runtime itself"},
		"unused all same":  {func(f *facts) { f.Proof.Lane = false }, "link", warns, "no shared memory was mapped", "allow"},
		"filter":           {func(f *facts) { f.Seccomp, f.Trials[1].Err = 2, refused }, "seccomp", fine, "a seccomp filter; 1 of 2 things tried work", ""},
		"slow calls":       {func(f *facts) { f.Proof.Hot = time.Millisecond }, "calls", note, "1ms back to back", "xme bench"},
		"few descriptors":  {func(f *facts) { f.Files.Soft = 256 }, "descriptors", warns, "256 allowed", "ulimit -n"},
		"few processes":    {func(f *facts) { f.Processes.Soft = 100 }, "processes", warns, "100 of this user", "ulimit -u"},
		"root has enough":  {func(f *facts) { f.Processes.Soft, f.Root = 100, true }, "processes", fine, "root is not bound", ""},
		"pids.max": {func(f *facts) {
			f.Tasks = []sys.Level{{Name: "/a", Value: 9999, Left: 9000}, {Name: "/", Value: 50, Left: -1}}
		}, "processes", warns, "pids.max 50 of /", "pids.max"},
		"pids in use":       {func(f *facts) { f.Tasks = []sys.Level{{Name: "/a", Value: 9999, Left: 7}} }, "processes", warns, "pids.max 9999 of /a, 7 left", "pids.max"},
		"PID 1":             {func(f *facts) { f.PID = 1 }, "init", warns, "process 1 itself", "--init"},
		"no init":           {func(f *facts) { f.Init, f.Container = "app", "/.dockerenv" }, "init", note, `process 1 is "app"; a container`, "--init"},
		"tini":              {func(f *facts) { f.Init, f.Container = "tini", "/.dockerenv" }, "init", fine, `"tini"`, ""},
		"zombies":           {func(f *facts) { f.Unreaped = 3 }, "init", warns, "3 ended processes wait", "--init"},
		"no /proc":          {func(f *facts) { f.Init = "" }, "init", note, "cannot be seen", "/proc"},
		"no /dev/shm":       {func(f *facts) { f.Shm = -1 }, "/dev/shm", fine, "none; not needed", ""},
		"read-only":         {func(f *facts) { f.ReadOnlyRoot = true }, "disk", fine, "read-only, which is fine", ""},
		"yama":              {func(f *facts) { f.Ptrace = 1 }, "debugging", note, "ptrace_scope 1", "XME_WAIT"},
		"yama off":          {func(f *facts) { f.Ptrace = 0 }, "debugging", fine, "ptrace_scope 0", ""},
		"all trials refuse": {func(f *facts) { f.Trials = nil }, "pool", fine, "", ""},
	} {
		f := healthy()
		tc.fault(&f)
		hit := false
		for _, got := range judge(f) {
			if got.Check == tc.check && got.Grade == tc.grade && strings.Contains(got.Found, tc.found) && strings.Contains(got.Do, tc.do) && (tc.do != "") == (got.Do != "") {
				hit = true
			} else if got.Check == tc.check {
				t.Logf("%s: %+v", name, got)
			}
			if got.Grade == bad && tc.grade != bad {
				t.Errorf("%s is bad: %+v", name, got)
			}
		}
		if !hit {
			t.Errorf("%s: no finding %s, %s with %q and %q to do", name, tc.check, tc.grade, tc.found, tc.do)
		}
	}
	for _, tr := range sys.Trials() { // and each thing that is tried has its advice
		if instead[tr.Name] == "" {
			t.Errorf("nothing is said of %s", tr.Name)
		}
	}
}

// A lane is told by its size from the word that a worker shares with the driver when it has none.
//
// feature: U4
func TestHasLane(t *testing.T) {
	t.Parallel()
	mapping := func(size int, name string) string {
		return fmt.Sprintf("%x-%x rw-s 00000000 00:01 1027                     %s (deleted)\n", 0x7f1200000000, 0x7f1200000000+size, name)
	}
	const heap = "c000000000-c000400000 rw-p 00000000 00:00 0 \n"
	for name, tc := range map[string]struct {
		maps string
		want bool
	}{
		"none":          {"", false},
		"a lane":        {heap + mapping(4096, "/memfd:xme") + mapping(link.LaneSize, "/memfd:xme"), true},
		"a word":        {heap + mapping(4096, "/memfd:xme"), false},
		"others' files": {heap + mapping(link.LaneSize, "/memfd:other"), false},
		"rubbish":       {"rubbish\n/memfd:xme\n-/memfd:xme x /memfd:xme", false},
	} {
		if got := hasLane(tc.maps); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// The doctor proves that a pool works here, leaves nothing open, and prints for people and for programs.
//
// feature: U4
func TestDoctor(t *testing.T) {
	p := prove(t.Context())
	if p.Err != nil || p.Opened <= 0 || p.Hot <= 0 || p.Parked <= 0 || p.Replaced <= 0 || p.Left != 0 {
		t.Errorf("%+v", p)
	}
	var text, object bytes.Buffer
	if err := errors.Join(run(t.Context(), []string{"doctor"}, &text), run(t.Context(), []string{"doctor", "--json"}, &object)); err != nil {
		t.Fatalf("%v\n%s", err, &text)
	}
	var ex examination
	if err := json.Unmarshal(object.Bytes(), &ex); err != nil {
		t.Fatalf("%v in %s", err, &object)
	}
	if lines := strings.Count(text.String(), "\n"); lines != len(ex.Findings) || ex.Version == "" || ex.Date == "" || ex.Worst == "" {
		t.Errorf("%d lines, and as JSON: %+v", lines, ex)
	}
}

// A pool that does not come to an end is given up, with the reason and what was tried.
//
// feature: U4
func TestDoctorEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if p := prove(ctx); p.Err == nil || !strings.Contains(p.Err.Error(), "enough") || !strings.Contains(p.Stage, "open a pool") {
		t.Errorf("%+v", p)
	}
	hung := make(chan struct{})
	defer close(hung)
	late := make(chan time.Time, 1)
	p := giveUp(late, func(enter func(string)) proof {
		enter("wait for ever")
		late <- time.Now()
		<-hung
		return proof{}
	})
	if p.Err == nil || p.Stage != "wait for ever" {
		t.Errorf("%+v", p)
	}
}

// feature: U4
func TestShortDurations(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		1500 * time.Nanosecond: "1.5µs", 3612 * time.Microsecond: "3.61ms", 64234 * time.Nanosecond: "64.2µs", 2345678 * time.Microsecond: "2.35s", 7: "7ns", 0: "0s",
	} {
		if got := short(d); got != want {
			t.Errorf("%d ns: %s, want %s", d, got, want)
		}
	}
}
