package xme_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// late is a row that is too slow until it has been tried often enough.
type late struct {
	File  string // one byte longer for each attempt that began, and one for each that was told to end
	Times int    // how many attempts are too slow
	Deaf  bool   // these do not end when told
}

var isLate = xme.Register("isLate", func(ctx context.Context, l late) (int, error) {
	mark := func(c string) int {
		f, err := os.OpenFile(l.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return 0
		}
		defer f.Close()
		_, _ = f.WriteString(c)
		b, _ := os.ReadFile(l.File)
		return strings.Count(string(b), c)
	}
	n := mark("a")
	if n <= l.Times {
		<-ctx.Done()
		mark("e")
		if l.Deaf {
			select {}
		}
		return 0, ctx.Err()
	}
	return n, nil
})

func marks(t *testing.T, file, mark string) int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(b), mark)
}

// A row that took too long is tried again, whether it ended when it was told to or its worker was killed, however often.
//
// feature: S12
func TestRetriesAfterTimeouts(t *testing.T) {
	t.Parallel()
	for name, link := range map[string]xme.Link{"auto": xme.LinkAuto, "socket": xme.LinkSocket, "inline": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := xme.Inline()
			if link >= 0 {
				on = xmetest.Open(t, xme.Options{Workers: 1, Link: link, Grace: time.Millisecond, Stderr: new(lines)})
			}
			file := filepath.Join(t.TempDir(), "attempts")
			f := isLate.With(xme.Timeout(300*time.Millisecond), xme.Retries(4))
			if n, err := f.Call(t.Context(), on, late{File: file, Times: 2}); n < 3 || err != nil { // more, if a CPU was not to be had
				t.Errorf("%d, %v; want the third attempt's", n, err)
			}
			if link < 0 {
				return // nobody can end it
			}
			file += " of the deaf" // four of which cost a worker each: a row is set aside for deaths, not for time-outs
			if n, err := f.With(xme.Retries(8)).Call(t.Context(), on, late{File: file, Times: 4, Deaf: true}); n < 5 || err != nil {
				t.Errorf("%d, %v; want the fifth attempt's", n, err)
			}
			_, err := f.With(xme.Retries(1)).Call(t.Context(), on, late{File: file, Times: 100, Deaf: true})
			var e *xme.Error
			if !errors.As(err, &e) || !errors.Is(err, xme.ErrTimeout) || e.Attempt != 2 || e.Attempts != 2 || len(e.Earlier) != 1 {
				t.Errorf("%+v; want the second time-out of two", err)
			}
		})
	}
}

// Who gives up a row whose time is over, and that has not ended yet, has no further attempt.
//
// feature: S12
func TestCancelEndsRetriesOfATimeout(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Grace: 3 * time.Second, Stderr: new(lines)})
	file := filepath.Join(t.TempDir(), "attempts")
	fu := isLate.With(xme.Timeout(50*time.Millisecond), xme.Retries(5)).Go(t.Context(), pool, late{File: file, Times: 100, Deaf: true})
	wait(t, func() bool { return marks(t, file, "e") == 1 })
	fu.Cancel()
	if _, err := fu.Wait(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was cancelled", err)
	}
	if n := marks(t, file, "a"); n != 1 {
		t.Errorf("%d attempts", n)
	}
}

// A row that used too much memory is tried again, until it has cost three workers.
//
// feature: S12
func TestRetriesAfterMemory(t *testing.T) {
	if runtime.GOOS != "linux" || raced {
		t.Skip("memory limits are Linux's, and not the race detector's")
	}
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Stderr: new(lines)})
	for retries, want := range map[int]int{1: 2, 9: 3} {
		f := hoards.With(xme.Memory(32<<20), xme.Retries(retries))
		_, err := f.Call(t.Context(), pool, hoard{MiB: 34, Stay: true}) // found by a look at it
		var e *xme.Error
		if !errors.As(err, &e) || !errors.Is(err, xme.ErrMemory) || e.Attempt != want || len(e.Earlier) != want-1 {
			t.Errorf("%d retries: %+v; want attempt %d", retries, err, want)
		}
	}
}

var killedAfter = xme.Register("killedAfter", func(_ context.Context, d time.Duration) ([]string, error) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return nil, err
	}
	time.AfterFunc(d, func() { _ = self.Kill() })
	return slices.Repeat([]string{strings.Repeat("x", 64<<10)}, 256), nil
})

// A worker that is killed while it sends a result was killed, whatever had come of that.
//
// feature: F1
func TestKilledWhileItSends(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has no such signal")
	}
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Link: xme.LinkSocket, Stderr: new(lines)})
	begin := time.Now()
	if _, err := killedAfter.Call(t.Context(), pool, time.Hour); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(begin)
	for part := range 8 {
		d := whole * time.Duration(part+1) / 10
		_, err := killedAfter.Call(t.Context(), pool, d)
		var e *xme.Error
		if err != nil && (!errors.As(err, &e) || !errors.Is(err, xme.ErrWorkerLost) || e.Signal != "SIGKILL" || strings.Contains(e.Message, "frame") || !strings.HasSuffix(e.Help(), "#signal")) {
			t.Errorf("after %v: %v, see %s", d, err, e.Help())
		}
	}
}
