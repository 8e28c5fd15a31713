package main

import (
	"fmt"
	"slices"
	"time"
)

// Estimates for a pool with default options on this machine, where the proof has not measured them.
const (
	filesPerWorker   = 8
	threadsPerWorker = 8
	filesOfSegments  = 256 // of big arguments; fewer where the limit is low
)

// mostProcesses is Options.MaxProcesses by default.
func mostProcesses(f facts) int { return 4*f.CPUs + 8 }

// judgeBounds looks at what a full pool would need.
func judgeBounds(f facts) []finding {
	n := mostProcesses(f)
	per := f.Proof.Files
	if per == 0 {
		per = filesPerWorker
	}
	files := finding{"descriptors", fine, "limit not known", ""}
	if soft := f.Files.Soft; soft >= 0 {
		need := int64(n*per + min(filesOfSegments, int(soft/8)) + 32)
		files.Found = fmt.Sprintf("%d allowed (hard limit %s), a full pool of %d processes takes about %d", soft, limitText(f.Files.Hard), n, need)
		if soft < need {
			files.Grade, files.Do = warns, "workers will fail to start when all are wanted: raise ulimit -n, or set Options.MaxProcesses lower"
		}
	}
	if f.OS != "linux" {
		return []finding{files}
	}
	threads := f.Proof.Threads
	if threads == 0 {
		threads = threadsPerWorker
	}
	need := int64(n * threads)
	procs := finding{"processes", fine, fmt.Sprintf("%s of this user allowed, a full pool takes about %d threads", limitText(f.Processes.Soft), need), ""}
	if f.Root {
		procs.Found += "; root is not bound by it"
	}
	least := int64(-1)
	for _, l := range f.Tasks {
		v := int64(l.Value)
		procs.Found += fmt.Sprintf("; pids.max %d of %s", v, l.Name)
		if l.Left >= 0 {
			v = int64(l.Left)
			procs.Found += fmt.Sprintf(", %d left", v)
		}
		if least < 0 || v < least {
			least = v
		}
	}
	switch soft := f.Processes.Soft; {
	case least >= 0 && least < need:
		procs.Grade, procs.Do = warns, "workers will fail to start when all are wanted: raise pids.max, or set Options.MaxProcesses lower"
	case soft >= 0 && soft < need && !f.Root:
		procs.Grade, procs.Do = warns, "workers will fail to start when all are wanted: raise ulimit -u, or set Options.MaxProcesses lower"
	}
	return []finding{files, procs}
}

func limitText(n int64) string {
	if n < 0 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

// reapers are programs that reap what others leave to process 1.
var reapers = []string{
	"systemd", "init", "tini", "tini-static", "dumb-init", "docker-init", "catatonit", "runit", "s6-svscan", "openrc-init", "launchd", "conmon", "pid1",
	"bash", "sh", "dash", "busybox", "pause", "supervisord",
}

func judgeSurroundings(f facts) []finding {
	if f.OS != "linux" {
		return nil
	}
	shm := finding{"/dev/shm", fine, "none; not needed: shared memory is memfds, which count in the control group's memory", ""}
	if f.Shm >= 0 {
		shm.Found = fmt.Sprintf("%s; not needed: shared memory is memfds, which count in the control group's memory, and RLIMIT_MEMLOCK does not bound them", size(f.Shm))
	}
	disk := finding{"disk", fine, "nothing is written, no temporary directory is needed", ""}
	if f.ReadOnlyRoot {
		disk.Found = "the root is read-only, which is fine: " + disk.Found
	}
	cores := finding{"core dumps", fine, "workers write none (RLIMIT_CORE is 0 in them); core_pattern is " + fmt.Sprintf("%q", f.Cores), ""}
	trace := finding{"debugging", fine, "yama is not there: dlv attaches to a worker", ""}
	switch {
	case f.Ptrace == 0:
		trace.Found = "ptrace_scope 0: dlv attaches to a worker"
	case f.Ptrace > 0:
		trace.Found = fmt.Sprintf("ptrace_scope %d", f.Ptrace)
		trace.Grade, trace.Do = note, "to attach dlv to a worker (XME_WAIT=1) be root, or set kernel.yama.ptrace_scope=0; else it changes nothing"
	}
	return []finding{judgeInit(f), shm, disk, cores, trace}
}

// judgeInit asks who reaps what a killed worker's children leave behind.
func judgeInit(f facts) finding {
	const do = "run the container with an init that reaps (docker run --init, shareProcessNamespace in Kubernetes): what a killed worker had started stays as a zombie else"
	found := fmt.Sprintf("process 1 is %q", f.Init)
	if f.Container != "" {
		found += fmt.Sprintf("; a container (%s)", f.Container)
	}
	switch {
	case f.PID == 1:
		return finding{"init", warns, "this process is process 1 itself, which reaps only its own children", do}
	case f.Unreaped > 0:
		return finding{"init", warns, fmt.Sprintf("%s; %d ended processes wait for it to reap them", found, f.Unreaped), do}
	case slices.Contains(reapers, f.Init), f.Container == "" && f.Init != "":
		return finding{"init", fine, found, ""}
	case f.Init == "":
		return finding{"init", note, "process 1 cannot be seen", "mount /proc"}
	}
	return finding{"init", note, found + ", which may not reap", do}
}

// size prints an amount of memory.
func size(bytes int64) string {
	switch {
	case bytes >= 10<<30:
		return fmt.Sprintf("%d GiB", bytes>>30)
	case bytes >= 10<<20:
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}

// short prints a duration with three digits.
func short(d time.Duration) string {
	for unit := time.Duration(1); unit < time.Second; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit).String()
		}
	}
	return d.Round(time.Millisecond).String()
}
