package sys

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Affinity returns the CPUs that this process may run on, in ascending order.
func Affinity() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err != nil {
		return nil, os.NewSyscallError("sched_getaffinity", err)
	}
	var cpus []int
	for i := 0; len(cpus) < set.Count(); i++ {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus, nil
}

// Pin has all threads of process pid run on the given CPUs only, and with them those that they start later. restore
// sets them all back to what the first thread had; call it once.
func Pin(pid int, cpus ...int) (restore func() error, err error) {
	var before, set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if set.Count() != len(cpus) {
		return nil, fmt.Errorf("pin to the CPUs %v: %w", cpus, unix.EINVAL)
	}
	if err := unix.SchedGetaffinity(pid, &before); err != nil {
		return nil, os.NewSyscallError("sched_getaffinity", err)
	}
	restore = func() error { return pinThreads(pid, &before) }
	if err := pinThreads(pid, &set); err != nil {
		return nil, errors.Join(err, restore())
	}
	return restore, nil
}

// pinThreads looks again as long as it finds a thread that it has not pinned: one that has not been may have started
// it.
func pinThreads(pid int, set *unix.CPUSet) error {
	pinned := map[int]bool{}
	for {
		list, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
		if err != nil {
			return err
		}
		found := false
		for _, e := range list {
			tid, err := strconv.Atoi(e.Name())
			if err != nil || pinned[tid] {
				continue
			}
			err = unix.SchedSetaffinity(tid, set)
			if err != nil && !errors.Is(err, unix.ESRCH) { // it has ended
				return os.NewSyscallError("sched_setaffinity", err)
			}
			pinned[tid], found = true, true
		}
		if !found {
			return nil
		}
	}
}
