package xme

import (
	"context"
	"sync"
	"testing"
)

var quadruple = Register("quadruple", func(_ context.Context, n int) (int, error) { return 4 * n, nil })

// Calls under contexts that can end leave nothing behind, whichever way they go.
func TestCallsLeaveNoWatch(t *testing.T) {
	t.Parallel()
	pool, err := Open(t.Context(), Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	shared, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range 500 {
				own, cancel := context.WithCancel(shared)
				fu := quadruple.Go(shared, pool, n)
				for _, ctx := range []context.Context{shared, own} {
					if got, err := quadruple.Call(ctx, pool, n); err != nil || got != 4*n {
						t.Errorf("%d, %v, want %d", got, err, 4*n)
					}
				}
				if _, err := fu.Wait(shared); err != nil {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	pool.mu.Lock()
	defer pool.mu.Unlock()
	if len(pool.watches) > 1 {
		t.Errorf("%d contexts are watched", len(pool.watches))
	}
	for _, w := range pool.watches {
		if w.head != nil {
			t.Error("a call that has ended is watched")
		}
	}
}
