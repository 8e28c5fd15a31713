package xme_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/xmetest"
)

// longRow is how long waitLong takes.
const longRow = 300 * time.Millisecond

var waitLong = xme.Register("waitLong", func(ctx context.Context, n int) (int, error) {
	select {
	case <-time.After(longRow):
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
})

// cpuTime is what this process has used of its CPUs, in steps of 10 ms.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	ticks := 0
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(string(f))
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// Who waits, for a row that takes long or for a queued call that nobody runs, is woken: it
// does not look again and again, which would take a CPU for as long as it waits. The test is
// not parallel: it looks at what the process uses.
//
// feature: X4
func TestWaitingBlocks(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	m, err := manager.Open(t.Context(), manager.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	for name, wait := range map[string]func() error{
		"call": func() error {
			_, err := waitLong.Call(t.Context(), pool, 1)
			return err
		},
		"future": func() error {
			_, err := waitLong.Go(t.Context(), pool, 1).Wait(t.Context())
			return err
		},
		"map": func() (err error) {
			for _, err = range waitLong.Map(t.Context(), pool, count(1)) {
			}
			return err
		},
		"queued call": func() error {
			f := square.Go(t.Context(), m.Queue(), 3)
			ctx, stop := context.WithTimeout(t.Context(), longRow)
			defer stop()
			if _, err := f.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
				return errors.Join(errors.New("it has run"), err)
			}
			f.Cancel()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			used, began := cpuTime(t), time.Now()
			if err := wait(); err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			if used = cpuTime(t) - used; took < longRow || used >= took/2 {
				t.Errorf("waiting for %v used %v of a CPU", took, used)
			}
		})
	}
}
