package manager_test

import (
	"context"
	"testing"

	"github.com/xenonmp/xme/manager"
)

// FuzzRequests has a peer send any bytes as any request: an error or an answer, no panic, and the manager serves others afterwards.
func FuzzRequests(f *testing.F) {
	for request := range manager.Requests() {
		f.Add(uint8(request), []byte{})
		f.Add(uint8(request), make([]byte, 40))
	}
	for request, samples := range manager.Samples() {
		for _, in := range samples {
			f.Add(uint8(request), in)
		}
	}
	f.Fuzz(func(t *testing.T, request uint8, in []byte) {
		m, err := manager.Open(t.Context(), manager.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = m.Close() }()
		manager.Admit(m)
		if _, err := manager.NewList(t.Context(), m, "list", 1, 2); err != nil {
			t.Fatal(err)
		}
		if _, err := manager.NewMap[string, int](t.Context(), m, "map"); err != nil {
			t.Fatal(err)
		}
		which := int(request) % manager.Requests()
		ctx, cancel := context.WithCancel(t.Context())
		if manager.Waits(which) {
			cancel()
		}
		_ = manager.Serve(ctx, m, which, in)
		cancel()
		if err := manager.Set(t.Context(), m, "a", "text"); err != nil {
			t.Fatal(err)
		}
		if s, err := manager.Get[string](t.Context(), m, "a"); s != "text" || err != nil {
			t.Fatal(s, err)
		}
		if _, err := m.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// feature: X2
func TestSoundRequests(t *testing.T) {
	for request, samples := range manager.Samples() {
		for _, in := range samples {
			m := open(t)
			manager.Admit(m)
			for _, err := range []error{
				manager.Set(t.Context(), m.Messages(), "k", 1), ignore(manager.NewList(t.Context(), m, "list", 1, 2)),
				ignore(manager.NewMap[string, int](t.Context(), m, "map")),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := manager.Serve(ctx, m, request, in); err != nil && !manager.Waits(request) {
				t.Errorf("request %d: %v", request, err)
			}
		}
	}
}

func ignore[T any](_ T, err error) error { return err }
