package xme

import (
	"context"
	"sync"
	"testing"
)

// Whoever asks before, while and after an event happens learns of it.
func TestEvent(t *testing.T) {
	t.Parallel()
	for range 1000 {
		var e event
		early := e.Done()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { <-e.Done() })
			all.Go(func() {
				if !e.wait(context.Background(), nil, 0, false) || !e.Has() {
					t.Error("a wait ended before the event")
				}
			})
		}
		if e.Has() {
			t.Error("it has happened before it did")
		}
		e.happen(nil)
		all.Wait()
		<-early
		<-e.Done()
	}
	ended, end := context.WithCancel(t.Context())
	end()
	var e event
	if e.wait(ended, nil, 0, false) {
		t.Error("an event that did not happen was waited for")
	}
}
