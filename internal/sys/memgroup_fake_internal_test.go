//go:build linux

package sys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A fake is a made-up cgroup2 file system: what the kernel does when a directory is made or removed or a file is
// written, as far as MemoryCgroup and Cgroup rest on it. The rest (limits that bite, starting into a group) is tried by
// TestMemoryCgroupForReal, where a machine hands down a memory controller.
type fake struct {
	groupTree
	mount    string
	sealed   map[string]bool // groups in which this process may make none
	immortal bool            // cgroup.kill does not help
	old      bool            // a kernel without swap limits and groups that die together
}

// newFake makes the tree; groups maps names to what their cgroup.procs holds. All have the memory controller; none hands
// it down.
func newFake(t *testing.T, own string, groups map[string]string) *fake {
	t.Helper()
	root := t.TempDir()
	f := &fake{mount: filepath.Join(root, "sys/fs/cgroup"), sealed: map[string]bool{}}
	f.groupTree = groupTree{root: root, mkdir: f.makeGroup, rmdir: f.removeGroup, write: f.writeFile}
	for name, text := range map[string]string{"proc/self/cgroup": "0::" + own + "\n", "proc/self/mountinfo": v2Mount} {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	groups["/"] += ""
	for name, procs := range groups {
		dir := filepath.Join(f.mount, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		f.put(dir, map[string]string{
			"cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "cpu\n", "cgroup.procs": procs, "cgroup.type": "domain\n",
		})
	}
	return f
}

func (f *fake) put(dir string, files map[string]string) {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			panic(err)
		}
	}
}

func (f *fake) get(file string) string {
	b, _ := os.ReadFile(file)
	return string(b)
}

func (f *fake) makeGroup(dir string) error {
	if f.sealed[filepath.Dir(dir)] {
		return unix.EACCES
	}
	if err := unix.Mkdir(dir, 0o755); err != nil {
		return err
	}
	f.put(dir, map[string]string{"cgroup.procs": "", "cgroup.kill": "", "cgroup.events": "populated 0\nfrozen 0\n"})
	if strings.Contains(f.get(filepath.Join(filepath.Dir(dir), "cgroup.subtree_control")), "memory") {
		f.memoryFiles(dir)
	}
	return nil
}

func (f *fake) memoryFiles(dir string) {
	f.put(dir, map[string]string{
		"memory.max": "max\n", "memory.events": "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 1\n",
	})
	if !f.old {
		f.put(dir, map[string]string{"memory.swap.max": "max\n", "memory.oom.group": "0\n", "memory.peak": "4096\n"})
	}
}

func (f *fake) removeGroup(dir string) error {
	if f.get(filepath.Join(dir, "cgroup.procs")) != "" {
		return unix.EBUSY
	}
	if _, err := os.Stat(dir); err != nil {
		return unix.ENOENT
	}
	return os.RemoveAll(dir)
}

func (f *fake) writeFile(file, text string) error {
	dir, name := filepath.Split(file)
	if _, err := os.Stat(file); err != nil {
		return err
	}
	switch {
	case text == "":
		return nil
	case name == "cgroup.subtree_control":
		if f.get(dir+"cgroup.procs") != "" {
			return fmt.Errorf("write: %w", unix.EBUSY)
		}
		below, _ := filepath.Glob(dir + "*/cgroup.procs")
		for _, b := range below {
			f.memoryFiles(filepath.Dir(b))
		}
		text = "cpu memory\n"
	case name == "cgroup.kill" && !f.immortal:
		f.put(dir, map[string]string{"cgroup.procs": "", "cgroup.events": "populated 0\n"})
	}
	f.put(dir, map[string]string{name: text})
	return nil
}
