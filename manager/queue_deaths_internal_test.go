package manager

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// process stands for a connection.
type process struct{ over bool }

func (p *process) gone() bool { return p.over }

// bare is a queue whose calls do nothing.
func bare() *callQueue { return newCallQueue(4, func(*queued) outcomeOf { return outcomeOf{} }) }

// guardOf attaches a guard and returns what asks for its next function.
func guardOf(t *testing.T, q *callQueue, table uint64, conn any) (ask func() (ended string, err error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	gen, err := leased(q, ctx, leaseRequest{ID: table, Rows: table == 7, Idle: -1}, conn)
	if err != nil {
		t.Fatal(err)
	}
	return func() (string, error) {
		type end struct {
			ended string
			err   error
		}
		over := make(chan end, 1)
		q.ask(leaseholder(q), askRequest{Gen: gen}, q.drain, func(a askAnswer, err error) { over <- end{a.Ended, err} })
		select {
		case e := <-over:
			return e.ended, e.err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// TestReplacedGuardEnds has a guard's process die, and its table or the guard be ended meanwhile: the process that takes its place ends, however often it is replaced.
//
// feature: G1, F18
func TestReplacedGuardEnds(t *testing.T) {
	for name, c := range map[string]struct {
		table uint64
		end   func(q *callQueue)
	}{
		"the rows end": {7, func(q *callQueue) { q.tableEnded(7) }},
		"stopped":      {7, (*callQueue).stopSoon},
		"beside none":  {8, (*callQueue).stopSoon},
	} {
		t.Run(name, func(t *testing.T) {
			q := bare()
			var all [3]process
			for i := range all {
				ask := guardOf(t, q, c.table, &all[i])
				if i == len(all)-1 {
					if ended, err := ask(); ended != endedStop || err != nil {
						t.Errorf("ended %q, %v", ended, err)
					}
					break
				}
				q.connGone(&all[i])
				if i == 0 {
					c.end(q)
				}
			}
			if s := q.state(); s.Guarded {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestGuardOfEndedTable has a guard begin again whose end nobody has heard of: its table's rows have ended still.
//
// feature: G1
func TestGuardOfEndedTable(t *testing.T) {
	q := bare()
	for range 2 {
		ask := guardOf(t, q, 7, &process{})
		q.tableEnded(7)
		if ended, err := ask(); ended != endedStop || err != nil {
			t.Fatalf("ended %q, %v", ended, err)
		}
	}
	if ended, err := guardOf(t, q, 7, &process{})(); ended != endedStop || err != nil {
		t.Fatalf("ended %q, %v", ended, err)
	}
}

// TestDeadProcess has a process be heard of after its death: it gets no lease and no heartbeat, for nothing would end them.
//
// feature: G3
func TestDeadProcess(t *testing.T) {
	q := bare()
	p := &process{over: true}
	q.connGone(p)
	if _, err := leased(q, t.Context(), leaseRequest{}, p); !errors.Is(err, ErrClosed) || q.lease != nil {
		t.Errorf("a lease: %v", err)
	}
	if _, err := q.beat(beatRequest{Every: time.Millisecond}, p, func() error { return nil }); !errors.Is(err, ErrClosed) || len(q.beats) > 0 {
		t.Errorf("a heartbeat: %v", err)
	}
}

// TestLastStatus has a process die while its beat is noted: the last note is that it died.
//
// feature: G3
func TestLastStatus(t *testing.T) {
	q := bare()
	var mu sync.Mutex
	var notes []string
	note := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		notes = append(notes, s)
	}
	q.died = func(Operator) { note("died") }
	p := &process{}
	dead := make(chan struct{})
	_, err := q.beat(beatRequest{Every: time.Millisecond}, p, func() error {
		go func() {
			defer close(dead)
			q.connGone(p)
		}()
		for { // until it is known
			q.mu.Lock()
			n := len(q.beats)
			q.mu.Unlock()
			if n == 0 {
				break
			}
		}
		note("alive")
		return nil
	})
	<-dead
	if got := strings.Join(notes, " "); got != "alive died" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

// TestUnheardEnd has a guard's process die once its lease has ended, before it has heard: the process that takes its place hears of that, and the queue is not open again.
//
// feature: G2, F18
func TestUnheardEnd(t *testing.T) {
	q := bare()
	p := &process{}
	guardOf(t, q, 8, p)
	q.stopSoon()
	q.connGone(p)
	if ended, err := guardOf(t, q, 8, &process{})(); ended != endedStop || err != nil {
		t.Fatalf("ended %q, %v", ended, err)
	}
	if _, err := q.append(&queued{}); !errors.Is(err, ErrGuardStopped) {
		t.Error(err)
	}
}

// The death of a process is told before what it has queued is run, which may take long.
//
// feature: G3
func TestDeathIsToldBeforeTheQueueDrains(t *testing.T) {
	begun, let := make(chan struct{}), make(chan struct{})
	q := newCallQueue(4, func(*queued) outcomeOf {
		close(begun)
		<-let
		return outcomeOf{}
	})
	p := &process{}
	gen, err := leased(q, t.Context(), leaseRequest{ID: 8, Idle: -1}, p)
	if err != nil {
		t.Fatal(err)
	}
	q.ask(p, askRequest{Gen: gen}, q.drain, func(askAnswer, error) {})
	if _, err := q.beat(beatRequest{Every: time.Minute}, p, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{})
	q.died = func(Operator) { close(told) }
	if _, err := q.append(&queued{what: "a method"}); err != nil {
		t.Fatal(err)
	}
	q.mu.Lock()
	stops := q.beginStop()
	q.mu.Unlock()
	stops()
	over := make(chan struct{})
	go func() {
		q.connGone(p)
		close(over)
	}()
	select {
	case <-told:
	case <-time.After(time.Minute):
		t.Error("it is told only once the queue has drained")
	}
	close(let)
	<-over
	<-begun
}

// TestFailedWithinACall has a table's guard fail for good before its process, which runs a function, is heard to be gone: the function is lost, and the next guard has work.
//
// feature: G1
func TestFailedWithinACall(t *testing.T) {
	q := bare()
	p := &process{}
	gen, err := leased(q, t.Context(), leaseRequest{ID: 7, Rows: true, Idle: -1}, p)
	if err != nil {
		t.Fatal(err)
	}
	var given atomic.Int32
	reply := func(a askAnswer, _ error) {
		if a.Call != nil {
			given.Add(1)
		}
	}
	q.ask(p, askRequest{Gen: gen}, q.drain, reply)
	s := &noteSink{}
	for range 2 {
		if _, err := q.append(&queued{what: "f", fn: &fnCall{Name: "f"}, to: s}); err != nil {
			t.Fatal(err)
		}
	}
	q.drain()
	q.failed(7)
	q.connGone(p)
	if given.Load() != 1 || len(s.ends) != 2 || !errors.Is(s.ends[0].err, ErrGuardLost) || !errors.Is(s.ends[1].err, ErrGuardLost) {
		t.Fatalf("%d given, ends %v", given.Load(), s.ends)
	}
	next := &process{}
	if gen, err = leased(q, t.Context(), leaseRequest{ID: 8, Idle: -1}, next); err != nil {
		t.Fatal(err)
	}
	if _, err := q.append(&queued{what: "f", fn: &fnCall{Name: "f"}}); err != nil {
		t.Fatal(err)
	}
	q.ask(next, askRequest{Gen: gen}, q.drain, reply)
	until(t, func() bool { return given.Load() == 2 }) // by this goroutine, or by one that the death has left
}

// TestStopBeforeTheNextGuard has another guard begin at the moment at which one has stopped: who stopped that one does not wait for the other.
//
// feature: G2
func TestStopBeforeTheNextGuard(t *testing.T) {
	q := bare()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	guardOf(t, q, 8, &process{})
	if _, err := q.append(&queued{}); err != nil {
		t.Fatal(err)
	}
	q.stopSoon() // the guard has not asked: it stands
	stopped := make(chan error, 1)
	go func() { stopped <- q.waitStopped(ctx) }()
	until(t, func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.freed != nil
	})
	q.mu.Lock()
	q.entries.pop()
	after := q.settle()
	q.lend(leaseRequest{ID: 9, Idle: -1}, &process{}) // before who waits can look
	q.mu.Unlock()
	after()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	q.close()
}

// The process dies that runs a table, before its guard comes or with it, or in between: nobody waits for another guard.
//
// feature: G1, F18
func TestTableDies(t *testing.T) {
	for name, c := range map[string]struct {
		attaches bool
		dies     func(q *callQueue, table, guard *process)
	}{
		"before the guard comes":           {false, func(q *callQueue, table, _ *process) { die(q, table) }},
		"and the guard in it":              {true, func(q *callQueue, table, _ *process) { die(q, table) }},
		"after the guard":                  {true, func(q *callQueue, table, guard *process) { die(q, guard); die(q, table) }},
		"after its rows and the guard":     {true, func(q *callQueue, table, guard *process) { die(q, guard); q.tableEnded(7); die(q, table) }},
		"before the guard, after its rows": {true, func(q *callQueue, table, guard *process) { q.tableEnded(7); die(q, table); die(q, guard) }},
		"before the guard, which had":      {true, func(q *callQueue, table, guard *process) { die(q, table); die(q, guard) }},
	} {
		t.Run(name, func(t *testing.T) {
			q := bare()
			table, guard := &process{}, &process{}
			if name == "and the guard in it" {
				guard = table
			}
			q.expectGuard(7, -1, table)
			if c.attaches {
				guardOf(t, q, 7, guard)
			}
			s := &noteSink{}
			if _, err := q.append(&queued{what: "f", fn: &fnCall{Name: "f"}, to: s}); err != nil {
				t.Fatal(err)
			}
			q.drain()
			c.dies(q, table, guard)
			if q.isGuarded() {
				t.Error("another guard is expected")
			}
			if len(s.ends) != 1 || !errors.Is(s.ends[0].err, ErrGuardLost) {
				t.Errorf("ends %v", s.ends)
			}
		})
	}
	q := bare()
	q.expectGuard(7, -1, &process{over: true})
	if q.isGuarded() {
		t.Error("the guard of a table is expected whose process is gone")
	}
}

func die(q *callQueue, p *process) {
	p.over = true
	q.connGone(p)
}
