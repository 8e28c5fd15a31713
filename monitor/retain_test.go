package monitor_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// kept is a worker's monitor, for all its tasks.
var kept *monitor.Monitor

var (
	keepIt = xme.Register("keepIt", func(_ context.Context, m *monitor.Monitor) (_ struct{}, err error) {
		kept, err = m.Retain()
		return struct{}{}, err
	})
	useIt = xme.Register("useIt", func(ctx context.Context, n int) (struct{}, error) {
		return struct{}{}, monitor.Set(ctx, kept, "n", n)
	})
)

// A monitor that a set-up function has kept serves later tasks, with and without a lock of its own.
//
// feature: N1
func TestRetain(t *testing.T) {
	ctx := t.Context()
	for name, locked := range map[string]bool{"lock": true, "no lock": false} {
		t.Run(name, func(t *testing.T) {
			m, err := manager.Open(ctx, manager.Options{Lock: manager.LockOptions{Kind: manager.Mutex}})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			o := monitor.Options{Manager: m}
			if locked {
				if o.Lock, err = m.NewLock(ctx, manager.LockOptions{Kind: manager.Mutex}); err != nil {
					t.Fatal(err)
				}
				defer o.Lock.Close()
			}
			mon := monitor.New(o)
			pool := xmetest.Open(t, xme.Options{Workers: 2, Setup: keepIt.Setup(mon)})
			for i := range 20 {
				if _, err := useIt.Call(ctx, pool, i); err != nil {
					t.Fatal(err)
				}
				if n, err := monitor.Get[int](ctx, mon, "n"); n != i || err != nil {
					t.Fatal(n, err)
				}
			}
		})
	}
}

var (
	// closeIt closes what keepIt has kept, and returns what calls say then.
	closeIt = xme.Register("closeIt", func(ctx context.Context, _ int) (says []string, err error) {
		m := kept
		for range 2 {
			if err := m.Close(); err != nil {
				return nil, err
			}
		}
		_, get := monitor.Get[int](ctx, m, "n")
		_, retain := m.Retain()
		_, marshal := m.Marshal(ctx)
		for _, err := range []error{monitor.Set(ctx, m, "n", 1), m.Delete(ctx, "n"), get, retain, marshal} {
			if !errors.Is(err, manager.ErrClosed) || !strings.Contains(err.Error(), "Close") {
				return nil, errors.New("a call after Close returned no such error")
			}
			says = append(says, err.Error())
		}
		return says, nil
	})
	// openHere is how many descriptors the worker has; 0 where they cannot be counted.
	openHere = xme.Register("openHere", func(context.Context, int) (int, error) {
		list, _ := os.ReadDir("/proc/self/fd")
		return len(list), nil
	})
)

// A worker that retains one monitor after the other, and closes each, keeps nothing of them; the others of a table stay when one is closed.
//
// feature: N1
func TestCloseOfARetained(t *testing.T) {
	ctx, pool := soon(t), xmetest.Open(t, xme.Options{Workers: 1})
	round := func() {
		t.Helper()
		m, err := manager.Open(ctx, manager.Options{})
		ok(t, err)
		defer m.Close()
		lock, err := m.NewLock(ctx, manager.LockOptions{Kind: manager.Mutex})
		ok(t, err)
		defer lock.Close()
		mon := monitor.New(monitor.Options{Manager: m, Lock: lock})
		_, err = keepIt.Call(ctx, pool, mon)
		ok(t, err)
		_, err = useIt.Call(ctx, pool, 7)
		ok(t, err)
		ok(t, mon.Close()) // nothing: it is not retained
		_, err = closeIt.Call(ctx, pool, 0)
		ok(t, err)
		if n, err := monitor.Get[int](ctx, mon, "n"); n != 7 || err != nil {
			t.Fatalf("the monitor that was retained: got %d, %v", n, err)
		}
		ok(t, monitor.Set(ctx, mon, "n", 8))
	}
	there := func() (used, descriptors int) {
		used, _ = shm.Usage()
		descriptors, err := openHere.Call(ctx, pool, 0)
		ok(t, err)
		return used, descriptors
	}
	for range 5 { // so that all is made that is made once
		round()
	}
	used, descriptors := there()
	for range 20 {
		round()
	}
	for end := time.Now().Add(time.Minute); ; { // a worker tells on another way than calls come
		nowUsed, now := there()
		if nowUsed <= used && now <= descriptors {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d bytes are in use, %d before, and the worker has %d descriptors, %d before", nowUsed, used, now, descriptors)
		}
	}
	alone := monitor.New(monitor.Options{})
	kept, err := alone.Retain()
	ok(t, err)
	ok(t, kept.Close())
	ok(t, (*monitor.Monitor)(nil).Close())
	ok(t, monitor.Set(ctx, alone, "k", 1))
}
