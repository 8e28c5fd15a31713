package main

import (
	"context"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"github.com/xenonmp/xme/scripts/procs"
)

// monkey strikes processes of one trial's pool until ctx ends: a pause of twice
// every at most, then one of them is killed, or stopped, for a while or for good.
func (t *trial) monkey(ctx context.Context, rng *rand.Rand, every time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(rng.Int64N(int64(2 * every)))):
		}
		pid := t.victim(rng)
		if pid == 0 {
			continue
		}
		// Counted first: what it causes may be seen before this goroutine goes on.
		t.strikes.Add(1)
		if rng.IntN(10) < 8 {
			if procs.Signal(pid, os.Getpid(), t.mark, syscall.SIGKILL) {
				t.r.kills.Add(1)
				continue
			}
			t.strikes.Add(-1)
			continue
		}
		if !procs.Signal(pid, os.Getpid(), t.mark, syscall.SIGSTOP) {
			t.strikes.Add(-1)
			continue
		}
		t.r.stops.Add(1)
		if rng.IntN(2) == 0 {
			time.AfterFunc(time.Duration(rng.IntN(1500))*time.Millisecond, func() {
				procs.Signal(pid, os.Getpid(), t.mark, syscall.SIGCONT)
			})
		}
	}
}

// victim picks a process: mostly one that is ready for rows, sometimes any.
func (t *trial) victim(rng *rand.Rand) int {
	var pids []int
	if pool := t.pool.Load(); pool != nil && rng.IntN(10) < 7 {
		for _, w := range pool.Workers() {
			if w.PID != 0 {
				pids = append(pids, w.PID)
			}
		}
	} else {
		for _, p := range procs.Children(os.Getpid()) {
			if !p.Gone() && procs.Holds(p.PID, t.mark) {
				pids = append(pids, p.PID)
			}
		}
	}
	if len(pids) == 0 {
		return 0
	}
	return pids[rng.IntN(len(pids))]
}
