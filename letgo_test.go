package xme_test

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"weak"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// What a call was given, and what it gave, is let go in the driver once nobody uses it,
// though the future is kept and the pool is open; in the worker, once the task has ended.
// feature: F10
func TestArgumentsAndResultsAreLetGo(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"small": 1 << 10, "big": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := xmetest.Open(t, xme.Options{Workers: 1})
			var args []weak.Pointer[byte]
			var futures []*xme.Future[int]
			for range 20 {
				b := make([]byte, size)
				args = append(args, weak.Make(&b[0]))
				fu := takes.Go(t.Context(), pool, b)
				if n, err := fu.Wait(t.Context()); err != nil || n != size {
					t.Fatalf("%d, %v", n, err)
				}
				futures = append(futures, fu)
			}
			for i := range 20 {
				b, err := blanks.Call(t.Context(), pool, size+i)
				if err != nil || len(b) != size+i {
					t.Fatalf("%d bytes, %v", len(b), err)
				}
				args = append(args, weak.Make(&b[0]))
			}
			collected := func() bool {
				runtime.GC()
				return !slices.ContainsFunc(args, func(p weak.Pointer[byte]) bool { return p.Value() != nil })
			}
			wait(t, collected)
			runtime.KeepAlive(futures)
			wait(t, func() bool {
				n, err := taken.Call(t.Context(), pool, 0)
				return err == nil && n == 0
			})
		})
	}
}

// argsSeen are the arguments of earlier tasks in this worker, as long as they are there.
var argsSeen []weak.Pointer[byte]

var takes = xme.Register("takes", func(_ context.Context, b []byte) (int, error) {
	argsSeen = append(argsSeen, weak.Make(&b[0]))
	return len(b), nil
})

var taken = xme.Register("taken", func(context.Context, int) (n int, err error) {
	runtime.GC()
	for _, p := range argsSeen {
		if p.Value() != nil {
			n++
		}
	}
	return n, nil
})

var blanks = xme.Register("blanks", func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })
