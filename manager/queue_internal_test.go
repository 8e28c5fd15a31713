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
		gen, err := q.attach(t.Context(), leaseRequest{Table: 1, Idle: -time.Second}, "a process")
		if err != nil {
			t.Fatal(err)
		}
		q.tableEnded(1)
		_, ended, _, err := q.ask(t.Context(), gen, nil)
		if ended != endedStop || err != nil {
			t.Fatalf("ended %q, %v", ended, err)
		}
	}
	gen, err := q.attach(t.Context(), leaseRequest{Table: 1, Idle: -time.Second}, "another")
	if err != nil {
		t.Fatal(err)
	}
	if _, ended, _, err := q.ask(t.Context(), gen, nil); ended != endedStop || err != nil {
		t.Errorf("again: ended %q, %v", ended, err)
	}
}
