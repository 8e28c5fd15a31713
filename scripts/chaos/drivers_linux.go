package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/scripts/procs"
)

// driverArg is the first argument of a copy of this program that is a driver to be
// killed; its seed, link, workers and rows follow.
const driverArg = "chaos-driver"

// driver runs rounds until it is killed, or nobody is there any more to kill it.
func driver(args []string) {
	var n [4]uint64
	for i := range n {
		n[i], _ = strconv.ParseUint(args[i], 10, 64)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	r := &report{out: os.Stderr}
	rng := rand.New(rand.NewPCG(n[0], 2))
	for {
		try(r, n[0], rng, settings{link: xme.Link(n[1]), workers: int(n[2]), rows: int(n[3]), calm: true, until: func() bool { return false }})
	}
}

// staffTime is how long a driver may take until it has workers.
const staffTime = 30 * time.Second

// killDriver starts a driver, kills it at a random moment, or once it has workers if
// it is to be staffed, and waits for the last of its processes to be gone. It must not
// have ended before.
func killDriver(r *report, seed uint64, rng *rand.Rand, set settings, limit time.Duration, staffed bool) {
	mark := fmt.Sprintf("XME_CHAOS_DRIVER=%d-%d", os.Getpid(), trials.Add(1))
	skip := map[int]bool{}
	for _, pid := range procs.PIDs() {
		skip[pid] = true
	}
	exe, err := os.Executable()
	if err != nil {
		r.complain(seed, "%v", err)
		return
	}
	cmd := exec.CommandContext(context.Background(), exe, driverArg, fmt.Sprint(rng.Uint64()>>1), fmt.Sprint(int(set.link)), fmt.Sprint(set.workers), fmt.Sprint(min(set.rows, 4000)))
	cmd.Env = append(os.Environ(), mark)
	said, err := os.CreateTemp("", "chaos-driver") // no pipe, which others may hold open
	if err != nil {
		r.complain(seed, "%v", err)
		return
	}
	defer func() {
		_ = said.Close()
		_ = os.Remove(said.Name())
	}()
	cmd.Stderr = said
	stdin, err := cmd.StdinPipe() // its end tells the driver that this process is gone
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.complain(seed, "start a driver: %v", err)
		return
	}
	after := time.Duration(rng.IntN(800)) * time.Millisecond
	if rng.IntN(3) == 0 { // while it opens its first pool
		after = time.Duration(rng.IntN(50_000)) * time.Microsecond
	}
	time.Sleep(after)
	begin := time.Now()
	workers := workersOf(cmd.Process.Pid, mark, skip)
	for ; staffed && workers == 0 && time.Since(begin) < staffTime; workers = workersOf(cmd.Process.Pid, mark, skip) {
		time.Sleep(time.Millisecond)
	}
	_ = cmd.Process.Kill()
	took, last, left := procs.AwaitGone(mark, skip, 2*limit)
	err = cmd.Wait()
	_ = stdin.Close()
	text, errRead := os.ReadFile(said.Name())
	found := bytes.Index(text, []byte("VIOLATION"))
	if found >= 0 {
		text = text[found:min(len(text), found+8000)]
	} else {
		text = text[max(0, len(text)-4000):]
	}
	switch status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus); {
	case !status.Signaled() || status.Signal() != syscall.SIGKILL:
		r.complain(seed, "a driver ended before it was killed, %v after its start: %v; it said:\n%s", after, err, text)
		return
	case errRead != nil:
		r.complain(seed, "%v", errRead)
	case found >= 0:
		r.complain(seed, "a driver found, within %v:\n%s", after, text)
	case staffed && workers == 0:
		r.complain(seed, "a driver had no workers for %v; it said:\n%s", staffTime, text)
	}
	switch {
	case left:
		r.leftovers.Add(int64(len(last)))
		r.complain(seed, "a driver killed %v after its start left %v", after, last)
	case took > limit:
		r.complain(seed, "a driver was killed %v after its start, the last of its processes was gone %v later: %v", after, took, last)
	case took > 20*time.Millisecond:
		r.say("a driver was killed %v after its start, the last of its processes was gone %v later: %v", after, took, last)
	}
	r.driver(took, workers > 0)
}

// workersOf counts a driver's workers that live.
func workersOf(driver int, mark string, skip map[int]bool) (n int) {
	for _, p := range procs.Marked(mark, skip) {
		if p.PPID == driver {
			n++
		}
	}
	return n
}
