//go:build linux

package sys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMemoryCgroup(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		own    string
		groups map[string]string // and their processes
		set    func(f *fake)
		want   string // the group found, or what the error says
	}{
		"the group above":    {own: "/a/b", groups: map[string]string{"/a": "", "/a/b": "7\n"}, want: "/a"},
		"its own, first":     {own: "/a/b", groups: map[string]string{"/a": "", "/a/b": ""}, want: "/a/b"},
		"handed down before": {own: "/a/b", groups: map[string]string{"/a": "9\n", "/a/b": "7\n"}, want: "/a", set: func(f *fake) { f.put(f.mount+"/a", map[string]string{"cgroup.subtree_control": "memory pids\n"}) }},
		"the root": {own: "/", groups: map[string]string{}, want: "/", set: func(f *fake) {
			f.put(f.mount, map[string]string{"cgroup.procs": "1\n", "cgroup.subtree_control": "memory\n"})
			_ = os.Remove(f.mount + "/cgroup.type")
		}},
		"both hold processes": {own: "/a/b", groups: map[string]string{"/a": "9\n", "/a/b": "7\n"}, want: "/a/b: it holds processes itself, so that it cannot limit groups below it; /a: it holds processes itself"},
		"alone in sight":      {own: "/", groups: map[string]string{"/": "7\n"}, want: "/: it holds processes itself, so that it cannot limit groups below it; the group above is out of sight"},
		"no permission": {
			own: "/a/b", groups: map[string]string{"/a": "", "/a/b": "7\n"}, want: "permission denied",
			set: func(f *fake) { f.sealed[f.mount+"/a"] = true },
		},
		"no procs": {
			own: "/a/b", groups: map[string]string{"/a": "", "/a/b": "7\n"}, want: "cgroup.procs: no such file",
			set: func(f *fake) { _ = os.Remove(f.mount + "/a/cgroup.procs") },
		},
		"no controller": {
			own: "/a/b", groups: map[string]string{"/a": "", "/a/b": "7\n"}, want: "/a: it has no memory controller",
			set: func(f *fake) {
				f.put(f.mount+"/a", map[string]string{"cgroup.controllers": "cpu memory_recursiveprot\n"})
			},
		},
		"threaded": {
			own: "/a/b", groups: map[string]string{"/a": "", "/a/b": "7\n"}, want: `/a: its type is "domain threaded"`,
			set: func(f *fake) { f.put(f.mount+"/a", map[string]string{"cgroup.type": "domain threaded\n"}) },
		},
		"version 1": {own: "/a", groups: map[string]string{}, want: "no control group of version 2", set: func(f *fake) {
			f.put(f.root+"/proc/self", map[string]string{"mountinfo": v1Mount, "cgroup": "4:memory:/a\n"})
		}},
		"a nameless place": {own: "/a", groups: map[string]string{}, want: "the group of this process has no name in sys/fs/cgroup", set: func(f *fake) {
			f.put(f.root+"/proc/self", map[string]string{"mountinfo": strings.Replace(v2Mount, " / ", " /../.. ", 1)})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, tc.own, tc.groups)
			if tc.set != nil {
				tc.set(f)
			}
			dir, err := f.memory()
			switch {
			case strings.HasPrefix(tc.want, "/") && !strings.Contains(tc.want, ":"):
				if err != nil || dir != filepath.Join(f.mount, tc.want) {
					t.Errorf("%q, %v; want %q", dir, err, tc.want)
				}
				if down := f.get(dir + "/cgroup.subtree_control"); !strings.Contains(down, "memory") {
					t.Errorf("it hands down %q", down)
				}
			case err == nil || !strings.Contains(err.Error(), tc.want) || !errors.Is(err, errors.ErrUnsupported):
				t.Errorf("%q, %v; want an error with %q", dir, err, tc.want)
			}
			_ = filepath.WalkDir(f.mount, func(path string, _ fs.DirEntry, _ error) error {
				if strings.Contains(path, "xme-") {
					t.Errorf("%s is left", path)
				}
				return nil
			})
		})
	}
}

// TestMemoryCgroupSweeps leaves groups as drivers do that were killed.
func TestMemoryCgroupSweeps(t *testing.T) {
	t.Parallel()
	gone := exec.Command("true") //nolint:noctx // it ends at once
	if err := gone.Run(); err != nil {
		t.Skip(err)
	}
	dead, alive := gone.Process.Pid, os.Getpid()
	f := newFake(t, "/a/b", map[string]string{"/a": "", "/a/b": "7\n"})
	for name, stays := range map[string]bool{
		fmt.Sprintf("xme-%d-3", dead): false, fmt.Sprintf("xme-%d-4", dead): true, fmt.Sprintf("xme-%d-3", alive): true,
		fmt.Sprintf("other-%d-3", dead): true, "xme-0-1": true, "xme-x-1": true,
	} {
		dir := f.mount + "/a/" + name
		if err := f.makeGroup(dir); err != nil {
			t.Fatal(err)
		}
		if name == fmt.Sprintf("xme-%d-4", dead) {
			f.put(dir, map[string]string{"cgroup.procs": "12\n"})
		}
		defer func() {
			if _, err := os.Stat(dir); (err == nil) != stays {
				t.Errorf("%s: stays %v, want %v", name, err == nil, stays)
			}
		}()
	}
	if _, err := f.memory(); err != nil {
		t.Error(err)
	}
}

// TestMemoryCgroupAtOnce has another pool look for a group while one does.
func TestMemoryCgroupAtOnce(t *testing.T) {
	t.Parallel()
	f := newFake(t, "/a/b", map[string]string{"/a": "", "/a/b": "7\n"})
	tree, once := f.groupTree, true
	tree.write = func(file, text string) error {
		if once && file == f.mount+"/a/cgroup.subtree_control" { // a group to try has been made there
			once = false
			if dir, err := f.memory(); err != nil || dir != f.mount+"/a" {
				t.Errorf("the other: %q, %v", dir, err)
			}
		}
		return f.groupTree.write(file, text)
	}
	if dir, err := tree.memory(); err != nil || dir != f.mount+"/a" {
		t.Errorf("%q, %v", dir, err)
	}
}

func TestCgroup(t *testing.T) {
	t.Parallel()
	f := newFake(t, "/a/b", map[string]string{"/a": "", "/a/b": "7\n"})
	dir, err := f.memory()
	if err != nil {
		t.Fatal(err)
	}
	// Another process of this number has left the next name.
	next := fmt.Sprintf("%s/xme-%d-%d", dir, os.Getpid(), groupNumber.Load()+1)
	if err := f.makeGroup(next); err != nil {
		t.Fatal(err)
	}
	c, err := f.newGroup(dir, 5<<20)
	if err != nil {
		t.Fatal(err)
	}
	if c.dir == next || filepath.Dir(c.dir) != dir {
		t.Errorf("it is %s", c.dir)
	}
	for name, want := range map[string]string{"memory.max": "5242880", "memory.swap.max": "0", "memory.oom.group": "1"} {
		if got := f.get(c.dir + "/" + name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(c.FD(), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		t.Errorf("descriptor %d: %v", c.FD(), err)
	}
	if n, err := c.OOMKills(); n != 1 || err != nil {
		t.Errorf("%d kills, %v", n, err)
	}
	if n, err := c.Peak(); n != 4096 || err != nil {
		t.Errorf("peak %d, %v", n, err)
	}
	if err := c.SetLimit(-1); err != nil || f.get(c.dir+"/memory.max") != "max" {
		t.Errorf("lifted: %v, %q", err, f.get(c.dir+"/memory.max"))
	}

	// A process is left and does not die; then it does.
	f.immortal = true
	f.put(c.dir, map[string]string{"cgroup.procs": "12\n", "cgroup.events": "populated 1\n"})
	if err := c.Close(); !errors.Is(err, unix.EBUSY) || c.FD() != -1 {
		t.Errorf("with a process left: %v, descriptor %d", err, c.FD())
	}
	f.immortal = false
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(c.dir); err == nil {
		t.Error("the group is left")
	}
}

func TestCgroupOnAnOlderKernel(t *testing.T) {
	t.Parallel()
	f := newFake(t, "/a", map[string]string{"/a": ""})
	f.old = true
	dir, err := f.memory()
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.newGroup(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Peak(); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestCgroupWithoutMemory makes a group where no controller is handed down: an error, and nothing left.
func TestCgroupWithoutMemory(t *testing.T) {
	t.Parallel()
	f := newFake(t, "/a", map[string]string{"/a": ""})
	if _, err := f.newGroup(f.mount+"/a", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if left, _ := filepath.Glob(f.mount + "/a/xme-*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestMemoryCgroupForReal has the kernel kill a process that exceeds its group's limit, and with it one that does not.
// It needs a directory as MemoryCgroup looks for: systemd-run --user --scope gives one.
func TestMemoryCgroupForReal(t *testing.T) {
	t.Parallel()
	dir, err := MemoryCgroup()
	if err != nil {
		t.Skip(err)
	}
	c, err := NewCgroup(dir, 32<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	// tail keeps the last line, which never ends; cat, put behind, is a harmless member of the group.
	cmd := exec.Command("sh", "-c", "cat <&3 & tail -n 1 /dev/zero") //nolint:noctx // the kernel ends it
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	cmd.ExtraFiles = []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: c.FD(), Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Skip("clone3 is refused:", err)
	}
	_ = cmd.Wait()
	if code, signal := Ended(cmd.ProcessState); signal != "SIGKILL" {
		t.Errorf("ended by %d %s", code, signal)
	}
	if n, err := c.OOMKills(); n < 1 || err != nil {
		t.Errorf("%d kills, %v", n, err)
	}
}
