package manager

import (
	"context"
	"errors"
	"testing"
	"time"
)

// orphaned opens a manager whose guard's process has died, and whose calls take until the test ends.
func orphaned(t *testing.T) *Manager {
	t.Helper()
	m, _ := openFuzzed(t)
	q := m.at.(*host).queue
	release := make(chan struct{})
	q.run = func(*queued) outcomeOf {
		<-release
		return outcomeOf{}
	}
	t.Cleanup(func() { close(release) })
	p := &process{}
	gen, err := leased(q, t.Context(), leaseRequest{ID: 8, Idle: -1}, p)
	if err != nil {
		t.Fatal(err)
	}
	q.ask(p, askRequest{Gen: gen}, q.drain, func(askAnswer, error) {})
	die(q, p)
	return m
}

// Who stops the guard of a manager in this process, or takes calls out of its queue, waits no longer than his context lasts, though what is queued is run now that
// no guard is there.
//
// feature: G2
func TestBacklogIsNotTheCallers(t *testing.T) {
	add := func(t *testing.T, m *Manager, e *queued) {
		t.Helper()
		e.op = m.op
		if _, err := m.at.(*host).queue.append(e); err != nil {
			t.Fatal(err)
		}
	}
	stop := func(t *testing.T, m *Manager) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stopped := make(chan error, 1)
		go func() { stopped <- m.Queue().Stop(ctx) }()
		until(t, func() bool {
			q := m.at.(*host).queue
			q.mu.Lock()
			defer q.mu.Unlock()
			return q.stop == draining
		})
		<-time.After(10 * time.Millisecond) // mostly it waits by now
		cancel()
		if err := come(t, "the stop", stopped); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	t.Run("stop", func(t *testing.T) {
		m := orphaned(t)
		add(t, m, &queued{what: "a"})
		stop(t, m)
	})
	t.Run("discard", func(t *testing.T) {
		m := orphaned(t)
		op, err := m.NewOperator(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		add(t, m.As(op), &queued{what: "f", fn: &fnCall{Name: "f"}})
		add(t, m, &queued{what: "a"})
		stop(t, m)
		discarded := make(chan int, 1)
		go func() {
			n, _ := m.Queue().As(op).Discard(t.Context())
			discarded <- n
		}()
		if n := come(t, "the discard", discarded); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}
