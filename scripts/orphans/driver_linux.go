package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/scripts/procs"
)

// The states of workers.
const (
	idle       = "idle"
	loop       = "loop"
	systemCall = "system call"
	stopped    = "stopped"
	grandchild = "grandchild"
	dead       = "dead, unnoticed"
)

var states = []string{idle, loop, systemCall, stopped, grandchild, dead}

// hold brings its worker into a state and stays there.
var hold = xme.Register("hold", func(_ context.Context, state string) (uint64, error) {
	if state == grandchild || state == dead {
		cmd := exec.CommandContext(context.Background(), "sleep", "1000")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return 0, err
		}
	}
	fmt.Println("begun")
	switch state {
	case loop:
		for n := uint64(1); ; n *= 3 {
			if n == 0 { // never: n stays odd
				return n, nil
			}
		}
	case systemCall:
		ts := syscall.NsecToTimespec(int64(time.Hour))
		for {
			_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
		}
	case dead:
		for p, ok := procs.Look(os.Getppid()); ok && p.State != 'T'; p, ok = procs.Look(os.Getppid()) {
			time.Sleep(time.Millisecond)
		}
		os.Exit(0)
	}
	time.Sleep(time.Hour)
	return 0, nil
})

// workers of each driver.
const workers = 2

// driver opens a pool, brings its workers into a state, says so, and waits to be
// killed.
func driver(state string) error {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0) // nobody is left to kill it
	}()
	seen := &begun{all: make(chan struct{})}
	pool, err := xme.Open(context.Background(), xme.Options{Workers: workers, Stdout: seen})
	if err != nil {
		return err
	}
	for len(pool.Ranks()) < workers {
		time.Sleep(time.Millisecond)
	}
	if state != idle {
		for range workers {
			hold.Go(context.Background(), pool, state)
		}
		<-seen.all
	}
	if state == stopped {
		for _, w := range pool.Workers() {
			if !procs.Signal(w.PID, os.Getpid(), mark+os.Getenv(mark[:len(mark)-1]), syscall.SIGSTOP) {
				return fmt.Errorf("worker %d cannot be stopped", w.PID)
			}
			for p, ok := procs.Look(w.PID); ok && p.State != 'T'; p, ok = procs.Look(w.PID) {
				time.Sleep(time.Millisecond)
			}
		}
	}
	fmt.Println("ready")
	select {}
}

// begun counts the rows that have begun.
type begun struct {
	mu  sync.Mutex
	n   int
	all chan struct{}
}

func (b *begun) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.n
	b.n += bytes.Count(p, []byte("begun\n"))
	if before < workers && b.n >= workers {
		close(b.all)
	}
	return len(p), nil
}
