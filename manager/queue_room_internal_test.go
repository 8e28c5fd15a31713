package manager

import (
	"sync"
	"testing"
)

// TestRoomForOne has appends of several connections wait for room again and again: each is answered once, and run once.
//
// feature: X4
func TestRoomForOne(t *testing.T) {
	m, err := Open(t.Context(), Options{Queue: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	o, err := Share(t.Context(), m, "o", &fuzzed{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.StartGuard(t.Context(), GuardOptions{Verbose: -1})
	if err != nil {
		t.Fatal(err)
	}
	const conns, goroutines, each = 2, 4, 300
	var all sync.WaitGroup
	for range conns {
		there := elsewhere(t, o)
		for range goroutines {
			all.Go(func() {
				for range each {
					if _, err := fuzzedAdd.Append(t.Context(), there, 1); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	all.Wait()
	if _, err := g.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if n, err := fuzzedAdd.Call(t.Context(), o, 0); n != conns*goroutines*each || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
