package manager_test

import (
	"context"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// lentIn is an array of the driver's, and where a task is to leave it.
type lentIn struct {
	O     *manager.Object[counter]
	Array *shm.Array[int]
	Keep  bool
}

var leavesArray = xme.Register("leavesArray", func(ctx context.Context, in lentIn) (int, error) {
	if in.Keep {
		return 0, manager.Set(ctx, in.O.Manager().Table(), "array", in.Array)
	}
	_, err := fill.Append(ctx, in.O, in.Array)
	return 0, err
})

// A task leaves memory that it was lent with a manager elsewhere, by a queued call or a value: the driver, who closes it, does not use it for another array.
//
// feature: M1
func TestLentMemoryThatAManagerKeeps(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	t.Run("in a process of its own", func(t *testing.T) {
		m := openWith(t, manager.Options{Process: true})
		o, err := manager.ShareNew(soon(t), m, "", newCounter, 5)
		must(t, err)
		keepsLentMemory(t, pool, o)
	})
	t.Run("in the task's own worker", func(t *testing.T) {
		o, err := opensCounter.Call(soon(t), pool, 5)
		must(t, err)
		keepsLentMemory(t, pool, o)
	})
}

var opensCounter = xme.Register("opensCounter", func(ctx context.Context, n int) (*manager.Object[counter], error) {
	m, err := manager.Open(context.WithoutCancel(ctx), manager.Options{})
	if err != nil {
		return nil, err
	}
	return manager.ShareNew(ctx, m, "", newCounter, n)
})

func keepsLentMemory(t *testing.T, pool *xme.Pool, o *manager.Object[counter]) {
	t.Helper()
	m := o.Manager()
	for _, keep := range []bool{false, true} {
		a, err := shm.NewArray[int](5000)
		must(t, err)
		must(t, a.Use(func(s []int) error { s[0] = 1; return nil }))
		_, err = leavesArray.Call(soon(t), pool, lentIn{o, a, keep})
		must(t, err)
		must(t, a.Close())
		other, err := shm.NewArray[int](5000)
		must(t, err)
		must(t, other.Use(func(s []int) error { s[0] = 100; return nil }))
		if keep {
			a, err = manager.Get[*shm.Array[int]](soon(t), m.Table(), "array")
			must(t, err)
			must(t, a.Use(func(s []int) error {
				if s[0] != 1 {
					t.Errorf("the value is %d, want 1", s[0])
				}
				return nil
			}))
			must(t, a.Close())
		} else {
			g, err := m.StartGuard(soon(t), manager.GuardOptions{Verbose: -1})
			must(t, err)
			_, err = g.Stop(soon(t))
			must(t, err)
			must(t, other.Use(func(s []int) error {
				if s[0] != 100 {
					t.Errorf("the call has written %d to another array", s[0])
				}
				return nil
			}))
		}
		must(t, other.Close())
	}
}
