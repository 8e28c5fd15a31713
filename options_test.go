package xme_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// refused fails the test unless Open refuses the options with an error that holds want.
func refused(t *testing.T, o xme.Options, want string) {
	t.Helper()
	pool, err := xme.Open(t.Context(), o)
	if err == nil {
		_ = pool.Close()
		t.Fatal("Open accepted it")
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("Open: %v; want %q in it", err, want)
	}
}

// What Open refuses, it refuses with the option's name and its value, and with what may be given instead.
//
// feature: S2
func TestLimitsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		o    xme.Options
		want string
	}{
		"recycle":                  {xme.Options{Recycle: -1}, "Options.Recycle is -1: 0 never replaces a worker"},
		"memory":                   {xme.Options{Memory: -1}, "Options.Memory is -1 bytes: 0 sets no bound"},
		"little memory":            {xme.Options{Memory: 1 << 20}, "Options.Memory is 1048576 bytes: 0 sets no bound, the least is 8388608"},
		"processes":                {xme.Options{Workers: 1, MaxProcesses: -1}, "Options.MaxProcesses is -1"},
		"fewer than workers":       {xme.Options{Workers: 3, MaxProcesses: 2}, "Options.MaxProcesses is 2: the 3 workers alone are more"},
		"too many workers":         {xme.Options{Workers: 1 << 20}, "Options.Workers is 1048576: at most 4096"},
		"too little time to start": {xme.Options{StartTimeout: -1}, "Options.StartTimeout is -1ns"},
		"a file for a directory":   {xme.Options{Dir: "go.mod"}, "is not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, tc.o, tc.want)
		})
	}
	if runtime.GOOS != "linux" {
		if _, err := xme.Open(t.Context(), xme.Options{Memory: 1 << 30}); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a bound on memory: %v", err)
		}
	}
}

// The same for a call's options: the call ends with the reason, and nothing has run.
//
// feature: S2
func TestCallOptionsRefused(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Spares: -1})
	for want, o := range map[string][]xme.CallOption{
		"option Timeout is -1s, which is invalid: 0 sets no limit":      {xme.Timeout(-time.Second)},
		"option Retries is -1, which is invalid: give 0 or more":        {xme.Retries(-1)},
		"option Memory is 1 bytes, which is invalid: 0 sets no bound, ": {xme.Memory(1)},
		"options Service and On exclude each other":                     {xme.Service(), xme.On(1)},
		"option On: ": {xme.On(2)},
	} {
		if _, err := square.With(o...).Call(t.Context(), pool, 3); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		} else if strings.Contains(err.Error(), "unsupported operation") != strings.HasPrefix(want, "option On") {
			t.Errorf("%v: it is invalid, and not unsupported", err)
		}
	}
	if s := pool.Stats(); s.Done != 0 || s.Starts != 1 {
		t.Errorf("something has run: %+v", s)
	}
}

// The zero value is a good pool: a worker per CPU, one spare, the driver's directory and environment.
//
// feature: S2
func TestZeroOptions(t *testing.T) {
	t.Setenv("COLOUR", "blue")
	pool := xmetest.Open(t, xme.Options{})
	workers := len(pool.Workers())
	if workers < 1 || workers > runtime.NumCPU() {
		t.Errorf("%d workers on %d CPUs", workers, runtime.NumCPU())
	}
	wait(t, func() bool { s := pool.Stats(); return s.Spares == 1 && s.Processes == workers+1 })
	if got, err := environ.Call(t.Context(), pool, "COLOUR"); !strings.HasPrefix(got, "blue /") && runtime.GOOS != "windows" || err != nil {
		t.Errorf("a worker sees %q, %v", got, err)
	}
	if s := pool.Stats(); s.Starts != uint64(workers)+1 {
		t.Errorf("%d processes were started for %d workers and a spare", s.Starts, workers)
	}
}

// Every call is safe from any goroutine: each gets the results of its own rows, whatever others do on the same pool.
//
// feature: P10
func TestManyCallers(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	waitForRanks(t, pool, 2)
	var all sync.WaitGroup
	faults := make(chan error, 1000)
	for caller := range 40 {
		in := func() func(func(int) bool) { return spanOf(1000*caller, 50) }
		want := slices.Collect(func(yield func(int) bool) {
			for n := range in() {
				if !yield(n * n) {
					return
				}
			}
		})
		all.Go(func() {
			var got []int
			var err error
			take := func(n int, e error) { got, err = append(got, n), errors.Join(err, e) }
			switch caller % 5 {
			case 0:
				for n := range in() {
					take(square.Call(t.Context(), pool, n))
				}
			case 1:
				var fs []*xme.Future[int]
				for n := range in() {
					fs = append(fs, square.Go(t.Context(), pool, n))
				}
				for _, f := range fs {
					take(f.Wait(t.Context()))
				}
			case 2:
				for n, e := range square.Map(t.Context(), pool, in()) {
					take(n, e)
				}
			case 3:
				var tab xme.Table
				rows := square.Add(&tab, in())
				err = tab.Run(t.Context(), pool)
				for n, e := range rows.All() {
					take(n, e)
				}
			case 4:
				for n := range in() {
					fs := square.Broadcast(t.Context(), pool, n)
					one, e1 := fs[0].Wait(t.Context())
					two, e2 := fs[1].Wait(t.Context())
					if one != two {
						e1 = errors.Join(e1, fmt.Errorf("ranks say %d and %d", one, two))
					}
					take(one, errors.Join(e1, e2))
					_, _ = pool.Workers(), pool.Stats()
				}
			}
			if err != nil || !slices.Equal(got, want) {
				faults <- fmt.Errorf("caller %d: %w, %v", caller, err, got)
			}
		})
	}
	all.Wait()
	close(faults)
	for err := range faults {
		t.Error(err)
	}
}

// spanOf yields n numbers from first.
func spanOf(first, n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := first; i < first+n && yield(i); i++ {
		}
	}
}

// A task may be given more time to return in than there will ever be.
//
// feature: S2
func TestGraceWithoutEnd(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Spares: -1, Grace: math.MaxInt64})
	begun, g, release := gates(t)
	f := saysTwice.Go(t.Context(), pool, g)
	readBegun(t, begun, 1)
	go pool.Close()
	told := make(chan struct{})
	go func() {
		_, _ = begun.Read(make([]byte, 1))
		close(told)
	}()
	select {
	case <-told:
	case <-f.Done():
	}
	_, _ = release.Write([]byte{0})
	_, err := f.Wait(t.Context())
	if e, ok := errors.AsType[*xme.Error](err); !ok || e.Cause != xme.CauseClosed || e.Killed || !strings.HasSuffix(e.Message, "it returned when told") {
		t.Errorf("%v; want that it returned", err)
	}
}

// saysTwice says that it runs, then that it is to end, and does once it can read a byte.
var saysTwice = xme.Register("saysTwice", func(ctx context.Context, g gate) (int, error) {
	_, _ = g.Said.Write([]byte{0})
	<-ctx.Done()
	_, _ = g.Said.Write([]byte{1})
	g.never()
	return 0, ctx.Err()
})

// A row may be tried as often as can be counted.
//
// feature: S2
func TestRetriesWithoutEnd(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, MaxMessage: 100})
	often := dies.With(xme.Retries(math.MaxInt))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() (string, error){
		"cancelled": func() (string, error) { return often.Call(over, pool, "fine") },
		"argument":  func() (string, error) { return often.Call(t.Context(), pool, strings.Repeat("x", 1000)) },
		"result":    func() (string, error) { return often.Call(t.Context(), pool, "large") },
	} {
		_, err := call()
		if e, ok := errors.AsType[*xme.Error](err); !ok || e.Attempt != 1 || e.Attempts != math.MaxInt {
			t.Errorf("%s: %v; want attempt 1 of %d", name, err, math.MaxInt)
		}
	}
	if _, err := often.Call(t.Context(), pool, "once "+filepath.Join(t.TempDir(), "made")); err != nil {
		t.Error(err)
	}
}

// A set-up function's options are not left out unsaid.
//
// feature: S2
func TestSetupRefusesOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]xme.CallOption{
		"Timeout": xme.Timeout(time.Hour), "Retries": xme.Retries(1), "On": xme.On(1), "Fresh": xme.Fresh(), "Service": xme.Service(), "Memory": xme.Memory(1 << 30),
	} {
		pool, err := xme.Open(t.Context(), xme.Options{Workers: 1, Setup: square.With(o).Setup(3)})
		if err == nil {
			_ = pool.Close()
		}
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "option "+name+" of a set-up function") {
			t.Errorf("%s: %v, want it refused by name", name, err)
		}
	}
	pool, err := xme.Open(t.Context(), xme.Options{Workers: 1, Setup: square.With(xme.On(1), xme.On()).Setup(3)})
	if err != nil {
		t.Fatal(err)
	}
	_ = pool.Close()
}

// An empty list of ranks is none: a Broadcast goes to all.
//
// feature: S2
func TestBroadcastOnEmptyList(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	for _, f := range square.With(xme.On(1), xme.On([]int{}...)).Broadcast(t.Context(), pool, 3) {
		if n, err := f.Wait(t.Context()); n != 9 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
}
