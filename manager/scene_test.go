package manager_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// scene is what a test's tasks share.
type scene struct {
	Lock  *manager.Lock
	Other *manager.Lock
	Op    manager.Operator
	M     *manager.Manager
	Here  *shm.Value[int64] // how many have come to where the driver waits for them
	Go    *shm.Event
	Data  *shm.Array[int64]
	Wait  time.Duration
	Role  int
	Read  bool
}

func newScene(t testing.TB) (s scene) {
	t.Helper()
	var err error
	s.Here, err = shm.NewValue[int64](0)
	must(t, err)
	s.Go, err = shm.NewEvent()
	must(t, err)
	s.Data = newCount(t)
	t.Cleanup(func() {
		_ = s.Here.Close()
		_ = s.Go.Close()
	})
	return s
}

// come waits until n have come.
func (s scene) come(ctx context.Context, n int64) error {
	for s.Here.Load() < n {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		runtime.Gosched()
	}
	return nil
}
