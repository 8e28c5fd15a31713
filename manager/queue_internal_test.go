package manager

import (
	"testing"
	"time"
)

// A guard whose process dies once its lease has ended, before it could say so, is begun again: that one ends at once.
//
// feature: G1
func TestGuardOfATableThatHasEnded(t *testing.T) {
	q := newCallQueue(0, func(*queued) outcomeOf { return outcomeOf{} })
	for range 2 {
		gen, err := q.attach(t.Context(), leaseRequest{Rows: true, ID: 1, Idle: -time.Second}, "a process")
		if err != nil {
			t.Fatal(err)
		}
		q.tableEnded(1)
		if a, err := answered(q, gen); a.Ended != endedStop || err != nil {
			t.Fatalf("ended %q, %v", a.Ended, err)
		}
	}
	gen, err := q.attach(t.Context(), leaseRequest{Rows: true, ID: 1, Idle: -time.Second}, "another")
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
	q.ask(askRequest{Gen: gen}, q.drain, func(got askAnswer, e error) {
		a, err = got, e
		close(over)
	})
	<-over
	return a, err
}
