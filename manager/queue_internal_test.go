package manager

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// A guard whose process dies once its lease has ended, before it could say so, is begun again: that one ends at once.
//
// feature: G1
func TestGuardOfATableThatHasEnded(t *testing.T) {
	q := newCallQueue(0, func(*queued) outcomeOf { return outcomeOf{} })
	for range 2 {
		gen, err := leased(q, t.Context(), leaseRequest{Rows: true, ID: 1, Idle: -time.Second}, "a process")
		if err != nil {
			t.Fatal(err)
		}
		q.tableEnded(1)
		if a, err := answered(q, gen); a.Ended != endedStop || err != nil {
			t.Fatalf("ended %q, %v", a.Ended, err)
		}
	}
	gen, err := leased(q, t.Context(), leaseRequest{Rows: true, ID: 1, Idle: -time.Second}, "another")
	if err != nil {
		t.Fatal(err)
	}
	if a, err := answered(q, gen); a.Ended != endedStop || err != nil {
		t.Errorf("again: ended %q, %v", a.Ended, err)
	}
}

// answered is what the holder of a lease is told.
func answered(q *callQueue, gen uint64) (a askAnswer, err error) {
	over := make(chan struct{})
	q.ask(leaseholder(q), askRequest{Gen: gen}, q.drain, func(got askAnswer, e error) {
		a, err = got, e
		close(over)
	})
	<-over
	return a, err
}

// leased takes a lease, and returns its number.
func leased(q *callQueue, ctx context.Context, r leaseRequest, conn any) (uint64, error) { //nolint:revive // in the order of a method's
	r.Gen = rand.Uint64()
	return r.Gen, q.attach(ctx, r, conn)
}

// leaseholder is who has the lease.
func leaseholder(q *callQueue) any {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lease == nil {
		return nil
	}
	return q.lease.conn
}

// The first append of a process is not accepted from nobody.
//
// feature: X7
func TestNobodyAppends(t *testing.T) {
	_, o := openFuzzed(t)
	there := elsewhere(t, o)
	for _, o := range []*Object[fuzzed]{o, there} {
		nobody := objectAt[fuzzed](o.ref.m.As(Operator{}), o.ref.short())
		if _, err := fuzzedAdd.Append(t.Context(), nobody, 1); !errors.Is(err, ErrNotAuthorised) {
			t.Error(err)
		}
	}
	if _, err := fuzzedAdd.Append(t.Context(), there, 1); err != nil {
		t.Error(err)
	}
}
