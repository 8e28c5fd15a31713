package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xenonmp/xme/internal/sys"
)

// judge turns facts into findings, the first what decides. It asks nobody anything.
func judge(f facts) []finding {
	list := []finding{judgeProof(f), judgeBuild(f), judgeSystem(f)}
	list = append(list, judgeCPUs(f)...)
	list = append(list, judgeMemory(f)...)
	list = append(list, judgeLink(f)...)
	list = append(list, judgeBounds(f)...)
	list = append(list, judgeSurroundings(f)...)
	return list
}

func judgeProof(f facts) finding {
	p := f.Proof
	if p.Err != nil {
		do := "see what else is listed; a sandbox that refuses processes or descriptors is the usual cause"
		return finding{"pool", bad, fmt.Sprintf("could not %s: %v", p.Stage, p.Err), do}
	}
	found := fmt.Sprintf("opened in %s, called, worker killed and replaced in %s", short(p.Opened), short(p.Replaced))
	if p.Left > 0 {
		return finding{"pool", warns, fmt.Sprintf("%s; %d descriptors were left open", found, p.Left), "please report this"}
	}
	return finding{"pool", fine, found, ""}
}

func judgeBuild(f facts) finding {
	return finding{"version", fine, fmt.Sprintf("xme %s, %s", f.Version, f.Go), ""}
}

// The oldest kernels that have what the engine uses of them; before, something slower stands in.
const kernelWanted = "5.14"

func judgeSystem(f facts) finding {
	found := f.OS + "/" + f.Arch
	if f.Kernel != "" {
		found += ", kernel " + f.Kernel
	}
	switch {
	case f.OS == "windows":
		return finding{"system", note, found + ": the portable link (pipes), no memory limits, no dumps at time-outs, sockets do not cross", "expect calls to take tens of microseconds"}
	case f.OS != "linux":
		return finding{"system", note, found + ": the portable link (sockets), no memory limits, stopped workers are not noticed", "expect calls to take tens of microseconds"}
	case older(f.Kernel, kernelWanted):
		return finding{"system", note, found + ", older than " + kernelWanted + ": memory is not prefaulted, control groups are not killed as one", "a newer kernel is faster with big arguments"}
	case f.Arch != "amd64":
		return finding{"system", note, found + ": built and vetted for it, measured on amd64", "run xme bench"}
	}
	return finding{"system", fine, found, ""}
}

// older reports whether a kernel's release is older than a version; one that cannot be read is not.
func older(release, than string) bool {
	var a, b, c, d int
	if n, _ := fmt.Sscanf(release, "%d.%d", &a, &b); n != 2 {
		return false
	}
	_, _ = fmt.Sscanf(than, "%d.%d", &c, &d)
	return a < c || a == c && b < d
}

func judgeCPUs(f facts) []finding {
	found := fmt.Sprintf("%d usable: %s", f.CPUs, f.Why)
	if f.Online > 0 {
		found += fmt.Sprintf("; %d online", f.Online)
	}
	var levels []string
	least := 0.0
	for _, q := range f.Quotas {
		levels = append(levels, fmt.Sprintf("%g of %s", q.Value, q.Name))
		if least == 0 || q.Value < least {
			least = q.Value
		}
	}
	if len(levels) > 0 {
		found += "; quotas: " + strings.Join(levels, ", ")
	}
	cpus := finding{"cpus", fine, found, ""}
	switch {
	case least > 0 && least < float64(f.CPUs):
		cpus.Grade, cpus.Do = note, fmt.Sprintf("the quota is no whole number: %d workers are halted in each period; set Options.Workers, or a whole quota", f.CPUs)
	case f.CPUs == 1:
		cpus.Grade, cpus.Do = note, "driver and worker take turns on it: a worker isolates here, it does not speed up"
	}
	procs := finding{"gomaxprocs", fine, fmt.Sprintf("%d in the driver; workers get CPUs / Workers unless the environment sets it", f.Procs), ""}
	if f.Procs > f.CPUs {
		procs.Grade, procs.Do = note, fmt.Sprintf("more than the %d usable CPUs: set GOMAXPROCS", f.CPUs)
	}
	return []finding{cpus, procs, judgeClock(f)}
}

// slowClock is more than time.Now takes where the kernel need not be asked.
const slowClock = 300 * time.Nanosecond

func judgeClock(f facts) finding {
	c := finding{"clock", fine, fmt.Sprintf("%v for a look", f.ClockCost), ""}
	if f.Clock != "" {
		c.Found = f.Clock + ", " + c.Found
	}
	if f.ClockCost > slowClock {
		c.Grade, c.Do = warns, "a slow clock source (hpet, acpi_pm, some xen) makes every call slower: use tsc or the hypervisor's own"
	}
	if f.Governor == "powersave" {
		c.Found += "; CPU governor powersave"
		if c.Grade == fine {
			c.Grade, c.Do = note, "short calls are slower until the CPU speeds up: use performance or schedutil where that matters"
		}
	}
	return c
}

// perWorker is memory that a worker needs to do anything, about.
const perWorker = 16 << 20

func judgeMemory(f facts) []finding {
	found := "not known"
	room := f.Available
	if f.Memory >= 0 {
		found = size(f.Memory) + ", how much of it is available is not known"
		if f.Available >= 0 {
			found = fmt.Sprintf("%s, %s available", size(f.Memory), size(f.Available))
		}
	}
	for _, l := range f.Limits {
		free := int64(l.Value)
		found += fmt.Sprintf("; limit %s of %s", size(free), l.Name)
		if l.Left >= 0 {
			free = int64(l.Left)
			found += fmt.Sprintf(", %s left", size(free))
		}
		if room < 0 || free < room {
			room = free
		}
	}
	memory := finding{"memory", fine, found, ""}
	if need := int64(f.CPUs+1) * perWorker; room >= 0 && room < need {
		memory.Grade, memory.Do = warns, fmt.Sprintf("%d workers need some %s to do anything: set Options.Workers lower, or raise the limit", f.CPUs, size(need))
	}
	if f.OS != "linux" {
		return []finding{memory, {"memory limits", note, "Options.Memory and xme.Memory are refused here", "bound the whole program by other means"}}
	}
	limits := finding{"memory limits", fine, "a control group for each worker, below " + f.MemoryGroup + ", with RLIMIT_DATA and a look every 25 ms", ""}
	if f.MemoryGroup == "" {
		limits = finding{
			"memory limits", note, "RLIMIT_DATA and a look every 25 ms: " + f.NoMemoryGroup,
			"what a worker's children and shared memory use is not bounded; delegate a control group of version 2 (systemd: Delegate=memory) for that",
		}
	}
	over := finding{"overcommit", fine, fmt.Sprintf("mode %d", f.Overcommit), ""}
	if f.Overcommit == 2 {
		over.Grade, over.Do = warns, "the kernel promises no more memory than it has: workers may not start though most is unused; vm.overcommit_memory=0"
	}
	swap := finding{"swap", fine, "none", ""}
	if f.Swap > 0 {
		swap = finding{"swap", note, size(f.Swap), "what is swapped out counts towards no limit of a worker's without a control group, and waits for the disk"}
	}
	huge := finding{"huge pages", fine, f.HugePages, ""}
	if f.HugePages == "always" {
		huge.Grade, huge.Do = note, "workers may hold more memory than they use; madvise is enough"
	}
	if f.HugePages == "" {
		huge.Found = "none"
	}
	return []finding{memory, limits, over, swap, huge}
}

// slowCall and slowWake are more than calls take on a machine that does nothing else.
const (
	slowCall = 20 * time.Microsecond
	slowWake = 500 * time.Microsecond
)

func judgeLink(f facts) []finding {
	link := finding{"link", fine, "shared memory, and a socket beside it", ""}
	switch {
	case f.OS == "windows":
		link = finding{"link", note, "pipes", ""}
	case f.OS != "linux":
		link = finding{"link", note, "a socket", ""}
	case f.Proof.Err != nil:
		link = finding{"link", note, "not known: no pool works", ""}
	case !f.Proof.Lane:
		why := "no shared memory was mapped; every system call that it needs works"
		if i := slices.IndexFunc(f.Trials, func(t sys.Trial) bool { return t.Name == sys.TryMemfd && t.Err != nil }); i >= 0 {
			why = fmt.Sprintf("%s: %v", f.Trials[i].Name, f.Trials[i].Err)
		}
		link = finding{"link", warns, "a socket alone: " + why, "calls take 50 times as long; allow memfd_create"}
	}
	list := []finding{link}
	if f.Proof.Err == nil {
		hot := finding{"calls", fine, fmt.Sprintf("%s back to back, %s after the worker slept", short(f.Proof.Hot), short(f.Proof.Parked)), ""}
		if f.Proof.Lane && f.Proof.Hot > slowCall || f.Proof.Parked > slowWake {
			hot.Grade, hot.Do = note, "slow: other programs on the CPUs, a quota, or a virtual machine whose CPUs are not its own; run xme bench when nothing else runs"
		}
		list = append(list, hot)
	}
	return append(list, judgeTrials(f)...)
}

// instead says what stands in for a thing of the kernel that is refused.
var instead = map[string]string{
	sys.TryMemfd:    "rows, or big values, go over the socket (kernel before 5.1, or a filter): slower; allow it",
	sys.TryNoExec:   "shared memory is not marked as no program (kernel before 6.3): harmless",
	sys.TryEventfd:  "the Go runtime itself cannot work without: allow it",
	sys.TryFutex:    "the Go runtime itself cannot work without: allow it",
	sys.TryPidfd:    "a thread waits for each worker instead of a descriptor (kernel before 5.10, or a filter): allow it",
	sys.TryYield:    "waiting takes the CPU from a worker: slower when CPUs are scarce; allow it",
	sys.TryAffinity: "only xme bench pins processes: harmless",
	sys.TryRlimit:   "Options.Memory cannot bound a worker: allow it, or use a control group around the program",
	sys.TrySockets:  "set Options.Link to LinkPipe: slower, and files do not cross",
	sys.TryLiveness: "workers may outlive a driver that is killed: allow it",
	sys.TryProcSelf: "workers cannot be started: mount /proc",
}

func judgeTrials(f facts) []finding {
	works := 0
	var list []finding
	for _, t := range f.Trials {
		if t.Err == nil {
			works++
			continue
		}
		g := warns
		if t.Name == sys.TryNoExec || t.Name == sys.TryAffinity {
			g = note
		}
		list = append(list, finding{"system call", g, fmt.Sprintf("%s: %v", t.Name, t.Err), instead[t.Name]})
	}
	if len(f.Trials) == 0 {
		return nil
	}
	filter := map[int]string{0: "no seccomp filter", 1: "strict seccomp", 2: "a seccomp filter"}[f.Seccomp]
	if filter == "" {
		filter = "seccomp not known"
	}
	return append([]finding{{"seccomp", fine, fmt.Sprintf("%s; %d of %d things tried work", filter, works, len(f.Trials)), ""}}, list...)
}
