package manager_test

import (
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/xmetest"
)

// A queue with a guard is an executor as any other, for its callers.
// feature: X4
func TestQueueIsAnExecutor(t *testing.T) {
	for name, o := range map[string]manager.Options{"here": {}, "process": {Process: true}} {
		t.Run(name, func(t *testing.T) {
			xmetest.Exercise(t, func(t *testing.T) xme.Executor {
				m := openWith(t, o)
				g, err := m.StartGuard(t.Context(), manager.GuardOptions{Verbose: -1})
				must(t, err)
				t.Cleanup(func() { <-g.Done() })
				return m.Queue()
			})
		})
	}
}
