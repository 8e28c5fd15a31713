package procs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a process at one moment.
type Process struct {
	PID, PPID, Group int
	State            byte // as in /proc/pid/stat: 'R', 'S', 'T', 'Z' …
	Name             string
}

func (p Process) String() string {
	return fmt.Sprintf("%s (pid %d, parent %d, group %d, state %c)", p.Name, p.PID, p.PPID, p.Group, p.State)
}

// Gone reports whether p has ended: who adopts a zombie reaps it.
func (p Process) Gone() bool { return p.State == 'Z' || p.State == 'X' }

// Look reads one process; false if there is none.
func Look(pid int) (Process, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if err != nil || open < 0 || end < open {
		return Process{}, false
	}
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 3 {
		return Process{}, false
	}
	p := Process{PID: pid, State: f[0][0], Name: string(b[open+1 : end])}
	p.PPID, _ = strconv.Atoi(f[1])
	p.Group, _ = strconv.Atoi(f[2])
	return p, true
}

// PIDs lists every process's number.
func PIDs() []int {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	var pids []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Children lists the processes whose parent is pid, zombies included.
func Children(pid int) []Process {
	var list []Process
	for _, n := range PIDs() {
		if p, ok := Look(n); ok && p.PPID == pid {
			list = append(list, p)
		}
	}
	return list
}

// Holds reports whether a process was started with mark ("key=value") in its
// environment; what it changed there since does not show.
func Holds(pid int, mark string) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && bytes.Contains(append([]byte{0}, b...), []byte("\x00"+mark+"\x00"))
}

// Marked lists the processes that live and were started with mark in their
// environment, this one and those in skip excepted. A process that is just
// executing another program has no environment for a moment: who must be sure looks
// twice.
func Marked(mark string, skip map[int]bool) []Process {
	var list []Process
	for _, pid := range PIDs() {
		if skip[pid] || pid == os.Getpid() || !Holds(pid, mark) {
			continue
		}
		if p, ok := Look(pid); ok && !p.Gone() {
			list = append(list, p)
		}
	}
	return list
}

// AwaitGone polls every millisecond until no process with mark is left, for
// patience at most. It returns how long the last were seen for, who they were, and
// whether they are left.
func AwaitGone(mark string, skip map[int]bool, patience time.Duration) (took time.Duration, last []Process, left bool) {
	begin := time.Now()
	none := 0
	for {
		list := Marked(mark, skip)
		now := time.Since(begin)
		if len(list) > 0 {
			none, took, last = 0, now, list
		} else if none++; none == 3 {
			return took, last, false
		}
		if now > patience && len(list) > 0 {
			return took, last, true
		}
		time.Sleep(time.Millisecond)
	}
}

// Signal sends a signal to pid if it is ours at that moment: a child of parent, and
// marked. The process is held while it is looked at, so that no other can have
// taken its number.
func Signal(pid, parent int, mark string, sig syscall.Signal) bool {
	h, err := os.FindProcess(pid) // a pidfd
	if err != nil {
		return false
	}
	defer func() { _ = h.Release() }()
	p, ok := Look(pid)
	if !ok || p.Gone() || p.PPID != parent || !Holds(pid, mark) {
		return false
	}
	return h.Signal(sig) == nil
}

// Census is what this process holds, counted.
type Census map[string]int

// Take counts descriptors by what they are, goroutines, mappings of shared memory,
// and entries named xme-* of the temporary folder and /dev/shm.
func Take() Census {
	c := Census{}
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, e := range fds {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil {
			continue // the listing's own
		}
		if kind, _, numbered := strings.Cut(target, ":["); numbered && kind != "anon_inode" {
			target = kind
		}
		c["descriptor "+target]++
	}
	maps, _ := os.ReadFile("/proc/self/maps")
	c["mapping memfd:xme"] = bytes.Count(maps, []byte("/memfd:xme"))
	for _, dir := range []string{os.TempDir(), "/dev/shm"} {
		files, _ := filepath.Glob(filepath.Join(dir, "xme-*"))
		for _, f := range files {
			c["file "+f]++
		}
	}
	c["goroutine"] = pprof.Lookup("goroutine").Count()
	return c
}

// Since says what c has more of than before.
func (c Census) Since(before Census) []string {
	var more []string
	for what, n := range c {
		if n > before[what] {
			more = append(more, fmt.Sprintf("%s: %d more", what, n-before[what]))
		}
	}
	slices.Sort(more)
	return more
}

// Settle compares with before until nothing is left or patience is over.
func Settle(before Census, patience time.Duration) []string {
	deadline := time.Now().Add(patience)
	for {
		left := Take().Since(before)
		for _, p := range Children(os.Getpid()) {
			left = append(left, "child process "+p.String())
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		time.Sleep(10 * time.Millisecond)
	}
}
