//go:build linux

package sys

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// What files tell, on machines made up.
//
// feature: U4
func TestSurvey(t *testing.T) {
	t.Parallel()
	none := Facts{Online: -1, Memory: -1, Available: -1, Swap: -1, Overcommit: -1, Seccomp: -1, Ptrace: -1}
	for name, tc := range map[string]struct {
		files map[string]string
		want  Facts
	}{
		"nothing": {nil, none},
		"rubbish": {map[string]string{
			"sys/devices/system/cpu/online": "0-", "proc/meminfo": "MemTotal: much\n", "proc/sys/vm/overcommit_memory": "x", "proc/self/mountinfo": "rubbish\n",
			"proc/self/cgroup": "rubbish\n", "sys/kernel/mm/transparent_hugepage/enabled": "none", "proc/5/stat": "rubbish",
		}, none},
		"a container": {map[string]string{
			"proc/sys/kernel/osrelease": "6.1.0\n", "sys/devices/system/cpu/online": "0-3,8\n",
			"proc/meminfo":                               "MemTotal:       2048 kB\nMemAvailable:       1024 kB\nSwapTotal:       0 kB\n",
			"proc/sys/vm/overcommit_memory":              "2\n",
			"proc/1/comm":                                "app\n",
			"proc/1/stat":                                "1 (app) S 0 1 1",
			"proc/7/stat":                                "7 (a b) c) Z 1 7 7",
			"proc/8/stat":                                "8 (x) Z 7 8 8",
			"proc/9/stat":                                "9 (x) S 1 8 8",
			"proc/self/status":                           "Name:\tapp\nSeccomp:\t2\n",
			"proc/sys/kernel/core_pattern":               "|/bin/false\n",
			".dockerenv":                                 "",
			"proc/self/cgroup":                           "0::/a/b\n",
			"proc/self/mountinfo":                        "22 1 0:21 / / ro,relatime - overlay overlay rw\n" + v2Mount,
			"sys/fs/cgroup/a/b/memory.max":               "max\n",
			"sys/fs/cgroup/a/memory.max":                 "1048576\n",
			"sys/fs/cgroup/a/b/pids.max":                 "64\n",
			"sys/fs/cgroup/a/pids.max":                   "max\n",
			"sys/fs/cgroup/a/memory.current":             "1000\n",
			"sys/fs/cgroup/a/b/pids.current":             "60\n",
			"sys/fs/cgroup/a/b/cpu.max":                  "150000 100000\n",
			"sys/fs/cgroup/a/cpu.max":                    "200000 100000\n",
			"proc/sys/kernel/yama/ptrace_scope":          "1\n",
			"sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
			"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
		}, Facts{
			Kernel: "6.1.0", Online: 5, Memory: 2 << 20, Available: 1 << 20, Overcommit: 2, Init: "app", Unreaped: 1, Seccomp: 2, Ptrace: 1, Cores: "|/bin/false",
			HugePages: "madvise", Clock: "hpet", Container: "/.dockerenv", ReadOnlyRoot: true,
			Limits: []Level{{"/a", 1 << 20, 1<<20 - 1000}}, Tasks: []Level{{"/a/b", 64, 4}}, Quotas: []Level{{"/a/b", 1.5, 0}, {"/a", 2, 0}},
		}},
		"mounted over": {map[string]string{"proc/self/mountinfo": "1 0 0:1 / / ro - a a rw\n2 1 0:2 / / rw - b b rw\n"}, none},
	} {
		if got := survey(tree(tc.files)); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n%+v\nwant\n%+v", name, got, tc.want)
		}
	}
}

// The machine at hand tells what every Linux tells.
//
// feature: U4
func TestSurveyOfThisMachine(t *testing.T) {
	t.Parallel()
	f := Survey()
	if f.Kernel == "" || f.CPUs < 1 || f.Memory <= 0 || f.Available <= 0 || f.Files.Soft <= 0 || f.PID != os.Getpid() || f.NotOffered != "" {
		t.Errorf("%+v", f)
	}
	if (f.MemoryGroup == "") == (f.NoMemoryGroup == "") {
		t.Errorf("a group %q, and not for %q", f.MemoryGroup, f.NoMemoryGroup)
	}
}

// What is tried leaves nothing open; the results are for all that is named.
//
// feature: U4
func TestTrials(t *testing.T) {
	_ = Trials() // the poller's descriptors are made once
	before, _ := os.ReadDir("/proc/self/fd")
	names := map[string]bool{}
	for _, tr := range Trials() {
		names[tr.Name] = true
		if tr.Err != nil {
			t.Logf("%s: %v", tr.Name, tr.Err)
		}
	}
	if after, _ := os.ReadDir("/proc/self/fd"); len(after) > len(before) {
		t.Errorf("%d descriptors, %d before", len(after), len(before))
	}
	if len(names) != 11 {
		t.Errorf("%d trials: %v", len(names), names)
	}
}

// To ask whether a memory controller could be handed down hands none down.
//
// feature: U4
func TestDryMemoryCgroup(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		own    string
		groups map[string]string
		want   string // the directory below the mount
		fault  string
	}{
		"beside this process": {"/a/b", map[string]string{"/a": "", "/a/b": "1\n"}, "/a", ""},
		"nowhere":             {"/a/b", map[string]string{"/a": "2\n", "/a/b": "1\n"}, "", "it holds processes itself"},
	} {
		f := newFake(t, tc.own, tc.groups)
		dir, err := dry(f.groupTree).memory()
		if tc.fault != "" {
			if err == nil || !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("%s: %q, %v", name, dir, err)
			}
		} else if err != nil || dir != filepath.Join(f.mount, tc.want) {
			t.Errorf("%s: %q, %v", name, dir, err)
		}
		for group := range tc.groups {
			if down := f.get(filepath.Join(f.mount, group, "cgroup.subtree_control")); down != "cpu\n" {
				t.Errorf("%s: %s hands down %q", name, group, down)
			}
			if list, _ := filepath.Glob(filepath.Join(f.mount, group, "xme-*")); len(list) > 0 {
				t.Errorf("%s: left behind: %v", name, list)
			}
		}
	}
}
