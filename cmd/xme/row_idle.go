package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/xenonmp/xme"
)

func init() {
	rows = append(
		rows, row{
			name:    "idle-cpu",
			what:    "CPU time of driver, 2 workers and spare while the pool idles for 10 s",
			floorIs: "none: the kernel counts by ticks of 10 ms",
			unit:    inSeconds,
			measure: measureIdleCPU,
			figure:  oursAlone, figureUnit: inSeconds, must: 0.010, reach: 0,
		}, row{
			name:    "idle-memory",
			what:    "private memory of an idle worker that has run a row",
			floorIs: "private memory of the driver before it opens the pool",
			unit:    inBytes,
			measure: measureIdleMemory,
			figure:  oursAlone, figureUnit: inBytes, must: 5e6, reach: 3e6,
		},
	)
}

var processOf = xme.Register("processOf", func(context.Context, int) (int, error) { return os.Getpid(), nil })

// idlePool opens a pool, has each worker run a row, and waits until the spare is up.
func idlePool(ctx context.Context) (pool *xme.Pool, pids []int, err error) {
	pool, err = xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		return nil, nil, err
	}
	for len(pool.Ranks()) < 2 || pool.Stats().Spares == 0 {
		select {
		case <-ctx.Done():
			return nil, nil, errors.Join(context.Cause(ctx), pool.Close())
		case <-time.After(time.Millisecond):
		}
	}
	for _, f := range processOf.Broadcast(ctx, pool, 0) {
		pid, err := f.Wait(ctx)
		if err != nil {
			return nil, nil, errors.Join(err, pool.Close())
		}
		pids = append(pids, pid)
	}
	return pool, pids, nil
}

func measureIdleCPU(ctx context.Context, quick bool) (sample, error) {
	idle := 10 * time.Second
	if quick {
		idle = 100 * time.Millisecond
	}
	pool, _, err := idlePool(ctx)
	if err != nil {
		return sample{}, err
	}
	defer pool.Close()
	debug.FreeOSMemory() // what other rows left behind is not collected meanwhile
	<-time.After(100 * time.Millisecond)
	before, err := cpuOfTree()
	if err != nil {
		return sample{}, err
	}
	<-time.After(idle)
	after, err := cpuOfTree()
	return sample{Ours: (after - before).Seconds()}, err
}

func measureIdleMemory(ctx context.Context, _ bool) (sample, error) {
	debug.FreeOSMemory()
	floor, err := privateMemory(os.Getpid())
	if err != nil {
		return sample{}, err
	}
	pool, pids, err := idlePool(ctx)
	if err != nil {
		return sample{}, err
	}
	defer pool.Close()
	var each []float64
	for _, pid := range pids {
		n, err := privateMemory(pid)
		if err != nil {
			return sample{}, err
		}
		each = append(each, float64(n))
	}
	return sample{Floor: float64(floor), Ours: median(each)}, nil
}

// privateMemory returns what a process shares with nobody, in bytes.
func privateMemory(pid int) (int64, error) {
	if _, err := os.Stat("/proc/self/smaps_rollup"); errors.Is(err, os.ErrNotExist) { // of another process: it has ended
		return 0, fmt.Errorf("%w: %w", err, errAbsent)
	}
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	var sum int64
	for line := range strings.Lines(string(rollup)) {
		name, value, _ := strings.Cut(line, ":")
		if name == "Private_Clean" || name == "Private_Dirty" {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			sum += kib << 10
		}
	}
	return sum, err
}

// cpuOfTree returns the CPU time that this process and its living children have used.
func cpuOfTree() (time.Duration, error) {
	self := strconv.Itoa(os.Getpid())
	list, err := os.ReadDir("/proc")
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("%w: %w", err, errAbsent)
	}
	var ticks int64
	for _, e := range list {
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // no process, or none any more
		}
		// Behind the name in parentheses: state ppid … utime (12th) stime (13th).
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) > 12 && (e.Name() == self || fields[1] == self) {
			user, _ := strconv.ParseInt(fields[11], 10, 64)
			system, _ := strconv.ParseInt(fields[12], 10, 64)
			ticks += user + system
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, err
}
