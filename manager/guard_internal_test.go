package manager

import (
	"testing"
	"time"
)

// What the zero options of guards and heartbeats stand for is what their comments say; other values stand for themselves.
//
// feature: G2, G3
func TestGuardDefaults(t *testing.T) {
	for _, c := range []struct {
		what      string
		got, want time.Duration
	}{
		{"idle", (&GuardOptions{}).idle(), 10 * time.Second},
		{"idle, never", (&GuardOptions{Idle: -1}).idle(), -1},
		{"idle, set", (&GuardOptions{Idle: time.Minute}).idle(), time.Minute},
		{"verbose", (&GuardOptions{}).verbose(), 5 * time.Second},
		{"verbose, never", (&GuardOptions{Verbose: -1}).verbose(), -1},
		{"verbose, set", (&GuardOptions{Verbose: time.Minute}).verbose(), time.Minute},
		{"beat", (&HeartbeatOptions{}).every(), time.Second},
		{"beat, set", (&HeartbeatOptions{Every: time.Minute}).every(), time.Minute},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

// The manager is told how often a heartbeat is to beat by its first beat.
//
// feature: G3
func TestHeartbeatTellsItsPeriod(t *testing.T) {
	m, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	b, err := m.Heartbeat(t.Context(), HeartbeatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := m.host()
	if err != nil {
		t.Fatal(err)
	}
	h.queue.mu.Lock()
	for _, one := range h.queue.beats {
		if one.every != time.Second {
			t.Errorf("every %v", one.every)
		}
	}
	if len(h.queue.beats) != 1 {
		t.Errorf("%d heartbeats", len(h.queue.beats))
	}
	h.queue.mu.Unlock()
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
}

// Heartbeats that go on with a manager's next process are told apart, in whatever order they beat.
//
// feature: G3
func TestHeartbeatsGoOn(t *testing.T) {
	q := bare()
	p, note := &process{}, func() error { return nil }
	beat := func(in beatRequest) uint64 {
		t.Helper()
		in.Every = time.Millisecond
		id, err := q.beat(in, p, note)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first, second := beat(beatRequest{Op: Operator{number: 1}}), beat(beatRequest{Op: Operator{number: 2}})
	q = bare()
	second = beat(beatRequest{Op: Operator{number: 2}, ID: second})
	first = beat(beatRequest{Op: Operator{number: 1}, ID: first})
	if len(q.beats) != 2 || q.beats[first].op.number != 1 || q.beats[second].op.number != 2 {
		t.Fatalf("%d heartbeats: %d and %d", len(q.beats), first, second)
	}
	beat(beatRequest{Op: Operator{number: 1}, ID: first, End: true})
	if q.beats[second] == nil {
		t.Error("the end of one ended the other")
	}
}

// A guard that waits is given a call by its append, before anything else happens: nobody looks whether there is one.
//
// feature: G2
func TestArrivalIsTold(t *testing.T) {
	q := bare()
	gen, err := leased(q, t.Context(), leaseRequest{ID: 1, Idle: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	given := 0
	reply := func(a askAnswer, _ error) {
		if a.Call != nil {
			given++
		}
	}
	for n := range 3 {
		q.ask(nil, askRequest{Gen: gen, Has: n > 0}, q.drain, reply)
		if given != n {
			t.Fatalf("%d calls given before call %d came", given, n)
		}
		if _, err := q.append(&queued{what: "f", fn: &fnCall{Name: "f"}, to: &noteSink{}}); err != nil {
			t.Fatal(err)
		}
		q.drain() // as who appends does
		if given != n+1 {
			t.Fatalf("%d calls given of %d", given, n+1)
		}
	}
	q.close()
}
