package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
)

// proof is what a pool with one worker did: opened, called, its worker killed and replaced, closed.
type proof struct {
	Stage string // what was tried last
	Err   error  // nil: all of it worked

	Opened   time.Duration // until the worker was ready
	Hot      time.Duration // one call of many, back to back
	Parked   time.Duration // one call after the worker has slept
	Replaced time.Duration // from the worker's death to another's answer

	Lane    bool // rows travelled in shared memory
	Files   int  // descriptors that the worker costs the driver, about; 0: not known
	Threads int  // of the worker; 0: not known
	Left    int  // descriptors that were left open
}

// worn is what a worker says of itself.
type worn struct {
	Lane    bool
	Threads int
}

var tellsOfItself = xme.Register("tells-of-itself", func(context.Context, int) (worn, error) {
	maps, _ := os.ReadFile("/proc/self/maps")
	tasks, _ := os.ReadDir("/proc/self/task")
	return worn{Lane: hasLane(string(maps)), Threads: len(tasks)}, nil
})

// hasLane finds a lane in the text of /proc/pid/maps. Whoever has none may share a word with the driver all the same, of
// the same name; what the doctor's calls bring is too small for shared memory.
func hasLane(maps string) bool {
	for line := range strings.Lines(maps) {
		bounds, rest, _ := strings.Cut(line, " ")
		from, to, _ := strings.Cut(bounds, "-")
		low, err := strconv.ParseUint(from, 16, 64)
		high, errTo := strconv.ParseUint(to, 16, 64)
		if err == nil && errTo == nil && strings.Contains(rest, "/memfd:xme") && high-low >= uint64(link.LaneSize) {
			return true
		}
	}
	return false
}

// prove opens a pool and has it do what pools do. It returns within patience and a little, whatever happens.
func prove(ctx context.Context) proof {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no end after %v", patience))
	defer cancel()
	late := time.After(patience + 5*time.Second) // it should have noticed by itself
	return giveUp(late, func(enter func(string)) proof { return proveNow(ctx, enter) })
}

// giveUp returns what f does, which tells what it is about to try; once it is late, that it hangs.
func giveUp(late <-chan time.Time, f func(enter func(string)) proof) proof {
	done := make(chan proof, 1)
	stages := make(chan string, 10)
	go func() { done <- f(func(s string) { stages <- s }) }()
	last := ""
	for {
		select {
		case last = <-stages:
			continue
		default:
		}
		select {
		case last = <-stages:
		case p := <-done:
			return p
		case <-late:
			return proof{Stage: last, Err: errors.New("it hangs")}
		}
	}
}

func proveNow(ctx context.Context, stage func(string)) (p proof) {
	enter := func(s string) { p.Stage = s; stage(s) }
	enter("open a pool with one worker")
	before := openFiles()
	start := time.Now()
	pool, err := xme.Open(ctx, xme.Options{
		Workers: 1, Spares: -1, Grace: time.Second, StartTimeout: patience / 2, Stdout: io.Discard, Stderr: io.Discard,
	})
	if err != nil {
		p.Err = err
		return p
	}
	p.Opened = time.Since(start)
	defer func() {
		p.Err = errors.Join(p.Err, pool.Close())
		p.Left = max(0, openFiles()-before)
	}()
	p.Err = p.use(ctx, pool, enter, before)
	return p
}

// use has an open pool do its work.
func (p *proof) use(ctx context.Context, pool *xme.Pool, enter func(string), before int) error {
	enter("call a function")
	call := caller(ctx, pool)
	for range 10 {
		if err := call(); err != nil {
			return err
		}
	}
	w, err := tellsOfItself.Call(ctx, pool, 0)
	if err != nil {
		return err
	}
	p.Lane, p.Threads, p.Files = w.Lane, w.Threads, max(0, openFiles()-before)
	enter("measure calls")
	hot, err := perCall(20*time.Millisecond, call)
	if err != nil {
		return err
	}
	p.Hot = seconds(hot)
	var parked []float64
	for range 15 {
		<-time.After(idleness)
		start := time.Now()
		if err := call(); err != nil {
			return err
		}
		parked = append(parked, time.Since(start).Seconds())
	}
	p.Parked = seconds(median(parked))
	enter("kill the worker and see it replaced")
	return p.replace(ctx, pool)
}

func (p *proof) replace(ctx context.Context, pool *xme.Pool) error {
	old := pool.Workers()[0].PID
	start := time.Now()
	if err := proc.KillRank(pool, 1); err != nil {
		return err
	}
	for {
		pid, err := processOf.Call(ctx, pool, 0)
		switch {
		case err == nil && pid != old:
			p.Replaced = time.Since(start)
			return nil
		case err != nil && !errors.Is(err, xme.ErrWorkerLost):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// openFiles counts this process's descriptors; 0: it cannot be told.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}
