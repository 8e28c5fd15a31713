package manager

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type noteSink struct {
	mu   sync.Mutex
	ends []outcomeOf
}

func (s *noteSink) finished(_ uint64, o outcomeOf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = append(s.ends, o)
}

// A function whose guard has died is not given to another guard that comes at that moment, and ends once.
func TestFunctionOfADeadGuardIsGivenToAnother(t *testing.T) {
	q := newCallQueue(0, func(*queued) outcomeOf { return outcomeOf{} })
	ctx := context.Background()
	first := new(int)
	gen, err := leased(q, ctx, leaseRequest{ID: 1, Idle: -1}, first)
	if err != nil {
		t.Fatal(err)
	}
	var given atomic.Int32
	reply := func(a askAnswer, _ error) {
		if a.Call != nil {
			given.Add(1)
		}
	}
	q.ask(leaseholder(q), askRequest{Gen: gen}, q.drain, reply)
	if _, err := q.beat(beatRequest{Every: time.Second}, first, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	s := &noteSink{}
	if _, err := q.append(&queued{what: "f", fn: &fnCall{Name: "f"}, to: s}); err != nil {
		t.Fatal(err)
	}
	q.drain()
	var second uint64
	q.died = func(Operator) { // it is told of the death before the call ends
		if second, err = leased(q, ctx, leaseRequest{ID: 2, Idle: -1}, new(int)); err != nil {
			t.Fatal(err)
		}
		q.ask(leaseholder(q), askRequest{Gen: second}, q.drain, reply)
	}
	q.connGone(first)
	if n := given.Load(); n != 1 {
		t.Errorf("it was given to %d guards", n)
	}
	q.ask(leaseholder(q), askRequest{Gen: second, Has: true}, q.drain, reply) // the second guard has run it
	if len(s.ends) != 1 {
		t.Errorf("it has ended %d times: %v", len(s.ends), s.ends)
	}
}
