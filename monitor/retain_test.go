package monitor_test

import (
	"context"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
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
