package xme_test

import (
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/xmetest"
)

// One suite, the same expectations, on every executor of this module.
// feature: S11
func TestExercise(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) xme.Executor{
		"inline":           func(*testing.T) xme.Executor { return xme.Inline() },
		"in-process":       func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: 3}) },
		"lanes":            func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 3}) },
		"socket":           func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 3, Link: xme.LinkSocket}) },
		"pipes":            func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 3, Link: xme.LinkPipe}) },
		"in-process lanes": openLanes, // the race detector sees both sides
		"one worker":       func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			xmetest.Exercise(t, open)
		})
	}
}

// openLanes opens a pool of goroutines that are called as processes are.
func openLanes(t *testing.T) xme.Executor {
	backend := proc.NewInProcess()
	backend.Lanes = sys.HasLanes
	pool, err := xme.Open(proc.WithBackend(t.Context(), backend), xme.Options{Workers: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}
