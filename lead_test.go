package xme_test

import (
	"context"
	"sync"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// Who waits for its own call reads for all others too, but not while it waits for room.
func TestCallsThatWaitForRoom(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Queue: 2})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range 200 {
				if got, err := square.Call(context.Background(), pool, n); err != nil || got != n*n {
					t.Errorf("%d, %v", got, err)
					return
				}
				fu := square.Go(t.Context(), pool, n)
				if n%3 == 0 {
					continue // nobody waits for it
				}
				if got, err := fu.Wait(t.Context()); err != nil || got != n*n {
					t.Errorf("%d, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// waitsToCross can be encoded once another call has ended.
type waitsToCross struct{ After <-chan struct{} }

func (w waitsToCross) MarshalBinary() ([]byte, error) {
	<-w.After
	return []byte{1}, nil
}

func (w *waitsToCross) UnmarshalBinary([]byte) error { return nil }

var passes = xme.Register("passes", func(context.Context, waitsToCross) (int, error) { return 1, nil })

// An argument that takes its time to be encoded keeps nobody from the ends of other
// calls.
func TestArgumentThatWaitsForAnotherCall(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	for n := range 100 {
		fu := square.Go(t.Context(), pool, n)
		if got, err := passes.Call(t.Context(), pool, waitsToCross{fu.Done()}); err != nil || got != 1 {
			t.Fatalf("%d, %v", got, err)
		}
	}
}
