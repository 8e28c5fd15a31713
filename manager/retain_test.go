package manager_test

import (
	"context"
	"errors"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// retained is what a task leaves for later tasks of its process.
var retained *manager.Manager

var (
	retainManager = xme.Register("retainManager", func(_ context.Context, m *manager.Manager) (int, error) {
		retained = m.Retain()
		return 0, nil
	})
	useRetained = xme.Register("useRetained", func(ctx context.Context, n int) (int, error) {
		l := retained.Lock()
		if err := l.Acquire(ctx); err != nil {
			return 0, err
		}
		return n, errors.Join(manager.Set(ctx, retained.Table(), "n", n), l.Release(ctx))
	})
)

// A handle that a task has retained is of use to later tasks of its process, the manager's own too.
func TestRetainedByATask(t *testing.T) {
	for _, e := range executors {
		t.Run(e.name, func(t *testing.T) {
			x, m := e.open(t, 1), openWith(t, manager.Options{})
			_, err := retainManager.Call(soon(t), x, m)
			must(t, err)
			for n := range 2 {
				_, err = useRetained.Call(soon(t), x, n)
				must(t, err)
			}
			if n, err := manager.Get[int](soon(t), m.Table(), "n"); n != 1 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		})
	}
	m := openWith(t, manager.Options{})
	must(t, m.Lock().Acquire(soon(t)))
	must(t, manager.Set(soon(t), m.Retain().Table(), "n", 1)) // outside of tasks it is the same holder
	must(t, m.Lock().Release(soon(t)))
}
