package sys

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Survey finds out what this machine offers. It reads files of the kernel's, makes and removes an empty control group
// where it may, and changes nothing else.
func Survey() Facts {
	f := survey(os.DirFS("/"))
	f.CPUs, f.Why = CPUs()
	f.PID = os.Getpid()
	f.Root = os.Geteuid() == 0 && strings.Join(strings.Fields(text(os.DirFS("/"), "proc/self/uid_map")), " ") == "0 0 4294967295" // of all, not of some namespace
	f.Files, f.Processes = limitOf(unix.RLIMIT_NOFILE), limitOf(unix.RLIMIT_NPROC)
	f.Shm = -1
	var st unix.Statfs_t
	if mounted(os.DirFS("/"), "/dev/shm") != "" && unix.Statfs("/dev/shm", &st) == nil {
		f.Shm = int64(st.Blocks * uint64(st.Bsize))
	}
	var err error
	if f.MemoryGroup, err = dry(kernel).memory(); err != nil {
		f.NoMemoryGroup = err.Error()
	}
	return f
}

func limitOf(what int) Limit {
	var l unix.Rlimit
	if unix.Getrlimit(what, &l) != nil {
		return Limit{-1, -1}
	}
	of := func(n uint64) int64 {
		if n > 1<<62 {
			return -1 // none
		}
		return int64(n)
	}
	return Limit{of(l.Cur), of(l.Max)}
}

// survey reads what files below the root directory fsys tell.
func survey(fsys fs.FS) Facts {
	f := Facts{
		Kernel:     text(fsys, "proc/sys/kernel/osrelease"),
		Online:     countCPUs(text(fsys, "sys/devices/system/cpu/online")),
		Memory:     meminfo(fsys, "MemTotal"),
		Available:  meminfo(fsys, "MemAvailable"),
		Swap:       meminfo(fsys, "SwapTotal"),
		Overcommit: intOf(text(fsys, "proc/sys/vm/overcommit_memory")),
		Init:       text(fsys, "proc/1/comm"),
		Seccomp:    intOf(statusOf(fsys, "Seccomp")),
		Ptrace:     intOf(text(fsys, "proc/sys/kernel/yama/ptrace_scope")),
		Cores:      text(fsys, "proc/sys/kernel/core_pattern"),
		HugePages:  selected(text(fsys, "sys/kernel/mm/transparent_hugepage/enabled")),
		Clock:      text(fsys, "sys/devices/system/clocksource/clocksource0/current_clocksource"),
		Governor:   text(fsys, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		Container:  containerSign(fsys),
		Limits:     levelsWith(fsys, "memory", "memory.max", "memory.limit_in_bytes", leftIn),
		Tasks:      levelsWith(fsys, "pids", "pids.max", "pids.max", tasksLeftIn),
		Quotas:     quotas(fsys),
		Unreaped:   unreaped(fsys),
	}
	f.ReadOnlyRoot = hasOption(mounted(fsys, "/"), "ro")
	return f
}

// text returns the first line of a small file, or "".
func text(fsys fs.FS, name string) string {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}

func intOf(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// selected returns the word in brackets: "madvise" of "always [madvise] never".
func selected(s string) string {
	_, s, _ = strings.Cut(s, "[")
	s, _, _ = strings.Cut(s, "]")
	return s
}

// countCPUs counts a list such as "0-3,8".
func countCPUs(list string) int {
	n := 0
	for part := range strings.SplitSeq(list, ",") {
		from, to, ranged := strings.Cut(part, "-")
		a, b := intOf(from), intOf(to)
		switch {
		case a < 0 || ranged && b < a:
			return -1
		case ranged:
			n += b - a + 1
		default:
			n++
		}
	}
	return n
}

// meminfo returns an amount of /proc/meminfo in bytes.
func meminfo(fsys fs.FS, key string) int64 {
	b, err := fs.ReadFile(fsys, "proc/meminfo")
	if err != nil {
		return -1
	}
	value, err := field(b, key)
	if n := intOf(strings.TrimSuffix(value, " kB")); err == nil && n >= 0 {
		return int64(n) << 10
	}
	return -1
}

func statusOf(fsys fs.FS, key string) string {
	b, err := fs.ReadFile(fsys, "proc/self/status")
	if err != nil {
		return ""
	}
	value, _ := field(b, key)
	return value
}

// containerSign returns what tells that this is a container.
func containerSign(fsys fs.FS) string {
	for _, name := range []string{".dockerenv", "run/.containerenv"} {
		if _, err := fs.Stat(fsys, name); err == nil {
			return "/" + name
		}
	}
	b, _ := fs.ReadFile(fsys, "proc/1/cgroup")
	for _, word := range []string{"docker", "kubepods", "containerd", "libpod", "lxc"} {
		if strings.Contains(string(b), word) {
			return word + " in /proc/1/cgroup"
		}
	}
	return ""
}

// mounted returns the options of what is mounted last at a point; empty: nothing is, or it cannot be told.
func mounted(fsys fs.FS, point string) string {
	b, err := fs.ReadFile(fsys, "proc/self/mountinfo")
	if err != nil {
		return ""
	}
	options := ""
	for line := range strings.Lines(string(b)) {
		// id parent device root point options … - kind source options
		if f := strings.Fields(line); len(f) > 5 && f[4] == point {
			options = f[5]
		}
	}
	return options
}

func hasOption(options, name string) bool { return listed(options, ",", name) }

// levelsWith returns the control group levels that set a bound in a file; "max", and what is too much to be one, are
// none.
func levelsWith(fsys fs.FS, controller, v2File, v1File string, left func(fsys fs.FS, v2 bool, dir string) int64) (all []Level) {
	found, _ := groups(fsys, controller)
	for _, g := range found {
		file := v1File
		if g.v2 {
			file = v2File
		}
		for _, l := range g.levels() {
			if n := number(word(fsys, l.dir, file, 0)); n > 0 && n < 1<<60 {
				all = append(all, Level{l.name, float64(n), float64(left(fsys, g.v2, l.dir))})
			}
		}
	}
	return all
}

// tasksLeftIn returns how many processes and threads a control group may still have, -1 if that is not known.
func tasksLeftIn(fsys fs.FS, _ bool, dir string) int64 {
	now := word(fsys, dir, "pids.current", 0)
	if now == "" {
		return -1
	}
	return max(0, number(word(fsys, dir, "pids.max", 0))-number(now))
}

// quotas returns the control group levels that bound CPU time.
func quotas(fsys fs.FS) (all []Level) {
	found, _ := groups(fsys, "cpu")
	for _, g := range found {
		for _, l := range g.levels() {
			if quota, period := quotaOf(fsys, g.v2, l.dir); quota > 0 && period > 0 {
				all = append(all, Level{Name: l.name, Value: float64(quota) / float64(period)})
			}
		}
	}
	return all
}

// dry returns a tree in which the memory controller is not handed down, which would stay so, but only asked whether it
// could be.
func dry(k groupTree) groupTree {
	could := map[string]bool{} // by directory
	d := k
	d.write = func(file, text string) error {
		dir := filepath.Dir(file)
		switch path.Base(file) {
		case "cgroup.subtree_control":
			if procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs")); err == nil && len(procs) > 0 && !isTop(dir) {
				return &os.PathError{Op: "write", Path: file, Err: unix.EBUSY} // as the kernel would say
			}
			could[dir] = true
			return k.write(file, "")
		case "memory.max":
			if could[filepath.Dir(dir)] {
				return nil // it will be there
			}
		}
		return k.write(file, "")
	}
	return d
}

// isTop reports whether a directory is the root of the hierarchy, which may hold processes: it alone has no type.
func isTop(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "cgroup.type"))
	return err != nil
}

// unreaped counts the processes that have ended and that process 1, whose they are, has not reaped.
func unreaped(fsys fs.FS) int {
	list, err := fs.ReadDir(fsys, "proc")
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range list {
		if intOf(e.Name()) < 0 {
			continue
		}
		b, err := fs.ReadFile(fsys, path.Join("proc", e.Name(), "stat"))
		if err != nil {
			continue // it is gone
		}
		state, err := stateOf(b)
		rest := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if err == nil && state == 'Z' && len(rest) > 1 && rest[1] == "1" {
			n++
		}
	}
	return n
}
