package shm_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// takesAll leaves its process no descriptor that is free.
var takesAll = xme.Register("takesAll", func(context.Context, int) (int, error) {
	for {
		if _, err := unix.Dup(int(os.Stdin.Fd())); errors.Is(err, unix.EMFILE) {
			return 0, nil
		}
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
			return 0, err
		}
		if l.Cur > 256 {
			l.Cur = 256
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
				return 0, err
			}
		}
	}
})

// A worker that ends because the link broke on its side says why.
func TestWorkerWithoutDescriptors(t *testing.T) {
	stderr := new(strings.Builder)
	pool := xmetest.Open(t, xme.Options{Workers: 1, Stderr: stderr})
	if _, err := takesAll.Call(t.Context(), pool, 0); err != nil {
		t.Fatal(err)
	}
	a, err := shm.NewArray[float64](1000)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	_, _ = add.Call(t.Context(), pool, a) // it may have begun, or be run by the next worker
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
	if said := stderr.String(); !strings.Contains(said, "the link to the driver broke: ") || !strings.Contains(said, "too many open files") {
		t.Errorf("it said %q", said)
	}
}
