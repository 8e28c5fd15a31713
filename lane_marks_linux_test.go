package xme_test

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// slowNow is a row of slowsDown: how long it takes, and where it counts that it has begun.
type slowNow struct {
	For   time.Duration
	Begun *shm.Value[int64]
}

var slowsDown = xme.Register("slowsDown", func(_ context.Context, r slowNow) (int, error) {
	if r.Begun == nil {
		return 0, nil
	}
	shm.Add(r.Begun, 1)
	<-time.After(r.For)
	return 1, nil
})

// Results do not lie unread for long though rows take far longer than those before them did, by which the driver reckons how soon to look.
func TestResultsOfRowsThatSlowDown(t *testing.T) {
	t.Parallel()
	const quick, slow, most = 4000, 400, 100
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	begun, err := shm.NewValue[int64](0)
	if err != nil {
		t.Fatal(err)
	}
	defer begun.Close()
	input := func(yield func(slowNow) bool) {
		for i := range quick + slow {
			r := slowNow{}
			if i >= quick {
				r = slowNow{5 * time.Millisecond, begun}
			}
			if !yield(r) {
				return
			}
		}
	}
	seen, lag := 0, 0
	for r := range slowsDown.Unordered(t.Context(), pool, input) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if r.Value == 1 {
			lag = max(lag, int(begun.Load())-seen)
			seen++
		}
	}
	if seen != slow || lag > most {
		t.Errorf("%d of %d slow rows came back, up to %d had begun before one of them did", seen, slow, lag)
	}
}

var takesFiles = xme.Register("takesFiles", func(_ context.Context, n int) (int, error) {
	for n > 0 {
		if _, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err != nil {
			return 1, nil
		}
	}
	return 0, nil
})

// A worker whose task has used up all descriptors goes on, also if it has never slept in its lane before.
func TestWorkerWithoutDescriptors(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	input := func(yield func(int) bool) {
		for i := range 2000 {
			n := 0
			if i == 1 {
				n = 1
			}
			if !yield(n) {
				return
			}
		}
	}
	took := 0
	for r := range takesFiles.Unordered(t.Context(), pool, input) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		took += r.Value
	}
	if took != 1 {
		t.Fatalf("%d rows used up the descriptors", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 10 {
		if _, err := takesFiles.Call(ctx, pool, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// fileFor is an argument that goes by the socket.
type fileFor struct {
	File *os.File
	For  time.Duration
}

var napsWithFile = xme.Register("napsWithFile", func(_ context.Context, a fileFor) (int, error) {
	if a.File != nil {
		_ = a.File.Close()
	}
	<-time.After(a.For)
	return 0, nil
})

// A row is not charged with the time in which its worker, which a look saw run another, had nothing to do.
func TestIdleTimeIsNoRows(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	nap := func(a fileFor) time.Duration {
		begin := time.Now()
		if _, err := napsWithFile.Call(t.Context(), pool, a); err != nil {
			t.Fatal(err)
		}
		return time.Since(begin)
	}
	longest := time.Duration(0)
	for range 4 { // each is seen by one look or two, every 20 ms
		longest = max(longest, nap(fileFor{For: 30 * time.Millisecond}))
	}
	<-time.After(longest + time.Second)
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	longest = max(longest, nap(fileFor{f, 100 * time.Millisecond}))
	if s := statsOf(t, pool, "napsWithFile"); s.Longest > longest || s.Busy > 5*longest {
		t.Errorf("the longest took %v, five rows %v; the longest call took %v", s.Longest, s.Busy, longest)
	}
}
