package xme_test

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/xmetest"
)

// hoards takes that many MiB and touches them; in many small pieces if asked.
var hoards = xme.Register("hoards", func(ctx context.Context, h hoard) (int, error) {
	var all [][]byte
	size := h.MiB << 20
	if h.Small {
		size = 4096
	}
	for n := 0; n < h.MiB<<20; n += size {
		b := make([]byte, size)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
	}
	if h.Stay { // within the address space it may have, until somebody looks
		<-ctx.Done()
	}
	runtime.KeepAlive(all)
	return len(all), nil
})

type hoard struct {
	MiB         int
	Small, Stay bool
}

// A worker that uses more memory than it may ends with its row, which says so with
// figures; other rows do not notice.
// feature: S12
func TestMemoryLimit(t *testing.T) {
	if runtime.GOOS != "linux" || raced {
		t.Skip("memory limits are Linux's, and not the race detector's")
	}
	quiet := new(lines) // what the runtime says on its way out
	pool := xmetest.Open(t, xme.Options{Workers: 2, Memory: 96 << 20, Stderr: quiet})
	plain := xmetest.Open(t, xme.Options{Workers: 1, Stderr: quiet})
	for name, tc := range map[string]struct {
		on *xme.Pool
		f  *xme.Func[hoard, int]
		h  hoard
		ok bool
	}{
		"pool, within":      {pool, hoards, hoard{MiB: 40}, true},
		"pool, large":       {pool, hoards, hoard{MiB: 400}, false},
		"pool, small":       {pool, hoards, hoard{MiB: 400, Small: true}, false},
		"call, within":      {plain, hoards.With(xme.Memory(100 << 20)), hoard{MiB: 40}, true},
		"call, large":       {plain, hoards.With(xme.Memory(64 << 20)), hoard{MiB: 300}, false},
		"call, small":       {plain, hoards.With(xme.Memory(64 << 20)), hoard{MiB: 300, Small: true}, false},
		"call over pool":    {pool, hoards.With(xme.Memory(400 << 20)), hoard{MiB: 200}, true},
		"none":              {plain, hoards, hoard{MiB: 200}, true},
		"found by watching": {plain, hoards.With(xme.Memory(32 << 20)), hoard{MiB: 34, Stay: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tc.f.Call(t.Context(), tc.on, tc.h)
			if tc.ok {
				if err != nil {
					t.Errorf("within its limit: %v", err)
				}
				return
			}
			var e *xme.Error
			if !errors.As(err, &e) || !errors.Is(err, xme.ErrMemory) || !strings.Contains(err.Error(), "its limit ") {
				t.Fatalf("%v, want ErrMemory", err)
			}
			if e.Memory == 0 {
				t.Error("the error does not say what the worker used")
			}
			if n, err := square.Call(t.Context(), tc.on, 4); n != 16 || err != nil {
				t.Errorf("afterwards: %d, %v", n, err)
			}
		})
	}
}

// That the runtime was refused memory is found behind an unfinished line, and before
// the stacks of more goroutines than are kept of a worker's output.
// feature: S12
func TestMemoryLimitFoundInOutput(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("memory limits are Linux's")
	}
	pool := xmetest.Open(t, xme.Options{Workers: 1, Stdout: io.Discard, Stderr: io.Discard})
	for name, c := range map[string]crash{
		"plain": {}, "unfinished stdout": {Stdout: "half a line"}, "unfinished stderr": {Stderr: "half a line"}, "goroutines": {Lines: 20_000},
	} {
		_, err := crashes.With(xme.Memory(64<<20)).Call(t.Context(), pool, c)
		if !errors.Is(err, xme.ErrMemory) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What was printed before, of a program that a row started, say, is not why a worker ends.
// feature: S12
func TestMemoryLimitNotFoundInOlderOutput(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("memory limits are Linux's")
	}
	for name, how := range map[string]string{"panic": "goroutine", "fatal": "maps", "killed": "kill", "exit": "exit 1", "exit 2": "exit 22"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := xmetest.Open(t, quiet(xme.Options{Workers: 1, Memory: 1 << 30}))
			if _, err := printsText.Call(t.Context(), pool, "fatal error: runtime: out of memory\n"); err != nil {
				t.Fatal(err)
			}
			var err error
			if how == "kill" {
				begun, g, _ := gates(t)
				f := pass.Go(t.Context(), pool, g)
				readBegun(t, begun, 1)
				_ = proc.KillRank(pool, 1)
				_, err = f.Wait(t.Context())
			} else {
				_, err = dies.Call(t.Context(), pool, how)
			}
			if !errors.Is(err, xme.ErrWorkerLost) || errors.Is(err, xme.ErrMemory) {
				t.Errorf("%v, want ErrWorkerLost and not ErrMemory", err)
			}
		})
	}
}

var printsText = xme.Register("printsText", func(_ context.Context, text string) (int, error) {
	return os.Stderr.WriteString(text)
})

// A set-up that takes more memory than a worker may have says so, whoever ends it.
// feature: S12
func TestMemoryLimitOfSetup(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || raced {
		t.Skip("memory limits are Linux's, and not the race detector's")
	}
	for name, h := range map[string]hoard{"refused": {MiB: 400}, "found by watching": {MiB: 65, Stay: true}} {
		_, err := xme.Open(t.Context(), quiet(xme.Options{Workers: 1, Memory: 64 << 20, Setup: hoards.Setup(h)}))
		if !errors.Is(err, xme.ErrMemory) || !strings.Contains(err.Error(), "setup: ") || !strings.Contains(err.Error(), "its limit is 64 MiB") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// crash is how a worker crashes as if it were out of memory.
type crash struct {
	Stdout, Stderr string // what it said before
	Lines          int    // of stacks
}

var crashes = xme.Register("crashes", func(_ context.Context, c crash) (int, error) {
	_, _ = os.Stdout.WriteString(c.Stdout)
	_, _ = os.Stderr.WriteString(c.Stderr)
	_, _ = os.Stderr.WriteString("fatal error: runtime: cannot allocate memory\n\nruntime stack:\n" + strings.Repeat("main.f()\n", c.Lines))
	os.Exit(2)
	return 0, nil
})

// A warm worker's row with a limit of its own is not charged with what an earlier row
// left behind.
// feature: S12
func TestMemoryLimitOfOneCall(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || raced {
		t.Skip("memory limits are Linux's, and not the race detector's")
	}
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	for range 3 {
		if _, err := hoards.Call(t.Context(), pool, hoard{MiB: 200, Small: true}); err != nil {
			t.Fatal(err)
		}
		if n, err := square.With(xme.Memory(32<<20)).Call(t.Context(), pool, 3); n != 9 || err != nil {
			t.Errorf("a small row after a large one: %d, %v", n, err)
		}
	}
}

// A row's files do not use up the driver's descriptors, however many rows wait.
// feature: U1
func TestManyFiles(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, want := 0, 20_000
	if raced {
		want = 2000
	}
	for n, err := range readsAll.Map(t.Context(), pool, xme.Repeat(want, f)) {
		if n != 0 || err != nil {
			t.Fatalf("row %d: %d, %v", rows, n, err)
		}
		rows++
	}
	if rows != want {
		t.Errorf("%d rows", rows)
	}
}

var readsAll = xme.Register("readsAll", func(_ context.Context, f *os.File) (int64, error) {
	return io.Copy(io.Discard, f)
})

// Set-up may take open files: every worker gets them, also replacements.
// feature: U1
func TestSetupWithFile(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Spares: -1, Setup: says.Setup(w)})
	readBegun(t, r, 1)
	xmetest.Kill(t, pool, 1)
	readBegun(t, r, 1)
	if runtime.GOOS == "windows" {
		return // where pipes carry files
	}
	_, err = xme.Open(t.Context(), xme.Options{Workers: 1, Link: xme.LinkPipe, Setup: says.Setup(w)})
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "socket link") {
		t.Errorf("on the pipe link: %v", err)
	}
}

var says = xme.Register("says", func(_ context.Context, w *os.File) (int, error) {
	_, err := w.Write([]byte{7})
	return 0, err
})
