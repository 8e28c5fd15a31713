package xme

import (
	"sync"
	"testing"
)

// Whoever asks before, while and after an event happens learns of it.
func TestEvent(t *testing.T) {
	t.Parallel()
	for range 1000 {
		var e event
		never := make(chan struct{})
		early := e.done()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { <-e.done() })
			all.Go(func() {
				if !e.wait(never) || !e.has() {
					t.Error("a wait ended before the event")
				}
			})
		}
		if e.has() {
			t.Error("it has happened before it did")
		}
		e.happen()
		all.Wait()
		<-early
		<-e.done()
	}
	ended := make(chan struct{})
	close(ended)
	var e event
	if e.wait(ended) {
		t.Error("an event that did not happen was waited for")
	}
}
