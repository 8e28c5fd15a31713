package latch_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xenonmp/xme/internal/latch"
)

// A turn is one goroutine's at a time, also while others give up, and nobody waits for one that is free.
func TestTurn(t *testing.T) {
	turn := latch.NewTurn()
	n := 0
	var taken atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for k := range 2000 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%2 == 0 && k%3 == 0 {
					go cancel()
				}
				err := turn.Take(ctx)
				cancel()
				if err != nil {
					continue
				}
				n++
				taken.Add(1)
				turn.Give()
			}
		})
	}
	all.Wait()
	if int64(n) != taken.Load() || !turn.Try() || turn.Try() {
		t.Errorf("taken %d times, counted %d", taken.Load(), n)
	}
}
