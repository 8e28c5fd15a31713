package xme_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/xmetest"
)

// A worker that somebody stops is found, and its rows are not lost: the one that ran
// fails, those behind it run elsewhere.
// feature: S12
func TestStoppedWorker(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	begun, g, _ := gates(t)
	f := pass.Go(t.Context(), pool, g)
	behind := square.Go(t.Context(), pool, 6)
	readBegun(t, begun, 1)
	stop(t, pool.Workers()[0].PID)
	_, err := f.Wait(t.Context())
	if !errors.Is(err, xme.ErrWorkerLost) || !strings.Contains(err.Error(), "stopped by someone") {
		t.Errorf("the row that ran: %v", err)
	}
	if n, err := behind.Wait(t.Context()); n != 36 || err != nil {
		t.Errorf("the row behind it: %d, %v", n, err)
	}
	// One that is stopped while it idles is found when it gets a row, which has not
	// begun and so runs elsewhere.
	pid := pool.Workers()[0].PID
	stop(t, pid)
	wait(t, func() bool {
		stopped, err := sys.Stopped(pid)
		return stopped || err != nil
	})
	if n, err := square.Call(t.Context(), pool, 7); n != 49 || err != nil {
		t.Errorf("a row for a worker that was stopped before: %d, %v", n, err)
	}
}

// A worker that has left its process group is ended all the same.
// feature: S12
func TestWorkerOutsideItsGroup(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Grace: time.Millisecond})
	f := strays.Go(t.Context(), pool, syscall.Getpgrp())
	_, err := f.Wait(t.Context())
	if !errors.Is(err, xme.ErrWorkerLost) || !strings.Contains(err.Error(), "stopped by someone") {
		t.Error(err)
	}
}

// strays joins a process group and stops.
var strays = xme.Register("strays", func(ctx context.Context, group int) (int, error) {
	if err := errors.Join(syscall.Setpgid(0, group), syscall.Kill(os.Getpid(), syscall.SIGSTOP)); err != nil {
		return 0, err
	}
	<-ctx.Done() // it stops soon
	return 0, nil
})

func stop(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}
