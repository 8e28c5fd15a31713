package sys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A groupTree is the file system that groups are made in: the kernel's, or one that a test has made up.
type groupTree struct {
	root         string // the root directory
	mkdir, rmdir func(dir string) error
	write        func(file, text string) error // the file must exist; without a text it is opened for writing only
}

var kernel = groupTree{
	root:  "/",
	mkdir: func(dir string) error { return retry(func() error { return unix.Mkdir(dir, 0o755) }) },
	rmdir: func(dir string) error { return retry(func() error { return unix.Rmdir(dir) }) },
	write: writeTo,
}

// MemoryCgroup returns a directory in which NewCgroup can make groups with a limit on memory, without root and without
// moving this process: its own control group, or, as a group that limits its children may hold no process itself, the
// one above. Version 2 only. If the memory controller is not handed down there it is, which stays so. Empty groups that
// drivers which are dead have left there are removed.
//
// Where there is no such directory the error says why, level by level, and wraps errors.ErrUnsupported.
//
// To start a process in a group of another branch a process must be allowed to write cgroup.procs of the level that
// both branches share: that is the directory itself, and looked at as well.
func MemoryCgroup() (dir string, err error) { return kernel.memory() }

func (k groupTree) memory() (string, error) {
	found, err := groups(os.DirFS(k.root), "")
	if err != nil {
		return "", fmt.Errorf("no control group of version 2: %w: %w", err, errors.ErrUnsupported)
	}
	var faults []string
	for _, g := range found {
		if g.above {
			faults = append(faults, "the group of this process has no name in "+g.mount)
			continue
		}
		levels := g.levels()
		for _, l := range levels[:min(2, len(levels))] {
			dir := filepath.Join(k.root, l.dir)
			if err := k.usable(dir); err != nil {
				faults = append(faults, fmt.Sprintf("%s: %v", l.name, err))
				continue
			}
			k.sweep(dir)
			return dir, nil
		}
		if len(levels) == 1 {
			faults = append(faults, "the group above is out of sight")
		}
	}
	return "", fmt.Errorf("no control group can limit memory: %s: %w", strings.Join(faults, "; "), errors.ErrUnsupported)
}

// usable makes a group in dir, sees that it can limit memory, and removes it.
func (k groupTree) usable(dir string) error {
	kind, err := os.ReadFile(filepath.Join(dir, "cgroup.type"))
	if kind := strings.TrimSpace(string(kind)); err == nil && kind != "domain" { // the root has none
		return fmt.Errorf("its type is %q", kind)
	}
	controllers, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	if !listed(string(controllers), " ", "memory") {
		return errors.New("it has no memory controller")
	}
	if err := k.write(filepath.Join(dir, "cgroup.procs"), ""); err != nil {
		return err
	}
	probe := filepath.Join(dir, fmt.Sprintf("xme-%d-%d", os.Getpid(), groupNumber.Add(1)))
	if err := k.mkdir(probe); err != nil && !errors.Is(err, unix.EEXIST) {
		return &os.PathError{Op: "mkdir", Path: probe, Err: err}
	}
	defer func() { _ = k.rmdir(probe) }()
	down, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return err
	}
	if !listed(string(down), " ", "memory") {
		err := k.write(filepath.Join(dir, "cgroup.subtree_control"), "+memory")
		if errors.Is(err, unix.EBUSY) {
			return errors.New("it holds processes itself, so that it cannot limit groups below it")
		}
		if err != nil {
			return err
		}
	}
	return k.write(filepath.Join(probe, "memory.max"), "")
}

// sweep removes the empty groups that processes which are dead have left in dir.
func (k groupTree) sweep(dir string) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range list {
		f := strings.Split(e.Name(), "-")
		if len(f) != 3 || f[0] != "xme" {
			continue
		}
		pid, err := strconv.ParseUint(f[1], 10, 31)
		if err == nil && errors.Is(unix.Kill(int(pid), 0), unix.ESRCH) {
			_ = k.rmdir(filepath.Join(dir, e.Name())) // a group with processes in it stays
		}
	}
}

// writeTo writes text to a file of a group at once; without a text it only opens it for that.
func writeTo(file, text string) error {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return &os.PathError{Op: "open", Path: file, Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	if text == "" {
		return nil
	}
	err = retry(func() error {
		_, err := unix.Write(fd, []byte(text))
		return err
	})
	if err != nil {
		return &os.PathError{Op: "write", Path: file, Err: err}
	}
	return nil
}
