package xme_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/xmetest"
)

// leaks leaves goroutines behind.
var leaks = xme.Register("leaks", func(_ context.Context, n int) (int, error) {
	for range n {
		go func() { select {} }()
	}
	return n, nil
})

// A worker whose rows leave goroutines behind says so, once; what libraries keep is not worth a line.
func TestLeftGoroutines(t *testing.T) {
	t.Parallel()
	for each, want := range map[int]int{0: 0, 2: 1} {
		var out bytes.Buffer
		pool, err := xme.Open(t.Context(), xme.Options{Workers: 1, LogHandler: slog.NewTextHandler(&out, nil)})
		if err != nil {
			t.Fatal(err)
		}
		for range 300 {
			if _, err := leaks.Call(t.Context(), pool, each); err != nil {
				t.Fatal(err)
			}
		}
		if err := pool.Close(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(out.String(), "leave goroutines behind"); got != want || want > 0 && !strings.Contains(out.String(), "rows=63 rank=1") {
			t.Errorf("%d left by each row: said %d times:\n%s", each, got, out.String())
		}
	}
}

// touches makes a file and returns its permissions.
var touches = xme.Register("touches", func(_ context.Context, name string) (os.FileMode, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	return info.Mode().Perm(), f.Close()
})

// A replacement makes files as the first workers did, whatever the driver's mask is by then. It changes the mask of this process, so it is not parallel.
func TestUmask(t *testing.T) {
	old := sys.Umask()
	if old < 0 {
		t.Skipf("%s does not tell", runtime.GOOS)
	}
	defer sys.SetUmask(old)
	sys.SetUmask(0o27)
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	sys.SetUmask(0o77)
	for n := range uint64(3) {
		mode, err := touches.Call(t.Context(), pool, filepath.Join(t.TempDir(), "file"))
		if err != nil || mode != 0o640 {
			t.Errorf("process %d: mode %o, %v; want 640", n, mode, err)
		}
		if err := proc.KillRank(pool, 1); err != nil {
			t.Error(err)
		}
		wait(t, func() bool { return pool.Stats().Deaths > n })
	}
}
