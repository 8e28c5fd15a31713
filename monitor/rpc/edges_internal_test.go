package rpc

import (
	"context"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/xenonmp/xme/monitor"
)

// TestOutcomeReachesWhoWaits: a request that waits for a call is told its outcome, also if it is more than what may be kept.
func TestOutcomeReachesWhoWaits(t *testing.T) {
	l := someLimits
	l.Kept = 1
	m, _ := testMarks(l)
	id, f := m.open("o")
	if f != nil {
		t.Fatal(f)
	}
	c, first, why := m.try(m.mark(id, 1, 0))
	if !first {
		t.Fatal(why)
	}
	again, first, why := m.try(m.mark(id, 1, 0)) // the same call, sent again
	if first || again != c {
		t.Fatal(first, why)
	}
	m.finish(c, "out", nil, 3)
	if out, f := m.wait(t.Context(), again); out != "out" && f == nil {
		t.Errorf("got %v, %v: neither the outcome nor a failure", out, f)
	}
}

// TestLimitsAreChecked: a server says what is wrong with limits that nothing can be done under. Rows in flight of -1 end the process at the first stream.
func TestLimitsAreChecked(t *testing.T) {
	for name, l := range map[string]Limits{"Streams": {Streams: -1}, "Calls": {Calls: -1}, "Message": {Message: -5000}, "Sessions": {Sessions: -1}, "Conns": {Conns: -1}} {
		if _, err := newServer(context.Background(), &net.UnixAddr{}, nil, []ServeOption{Plain(), WithLimits(l)}); err == nil {
			t.Errorf("%s: served with %+v", name, l)
		}
	}
}

// TestRequestsUnderWayAreBounded: whatever they ask for, and whether they count as calls, so many requests and no more are under way.
func TestRequestsUnderWayAreBounded(t *testing.T) {
	if n := (Limits{Calls: math.MaxInt, Conns: math.MaxInt}).mostUnderWay(); n < 1<<30 || n >= gateClosed {
		t.Errorf("%d where there is no bound to speak of", n)
	}
	s, err := newServer(context.Background(), &net.UnixAddr{}, nil, []ServeOption{Plain(), WithLimits(Limits{Calls: 1, Conns: 70})})
	if err != nil {
		t.Fatal(err)
	}
	hello := func() string {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/xme.v1.Monitor/Hello", strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Body.String()
	}
	const most = 2 * (1 + 70)
	for range most - 1 {
		s.gate.hold()
	}
	if got := hello(); !strings.Contains(got, "session") {
		t.Errorf("the last that may be under way: %s", got)
	}
	s.gate.hold()
	if got := hello(); !strings.Contains(got, "too many requests") {
		t.Errorf("one more: %s", got)
	}
}

// TestGoneIsToldOnce: what has gone while there was no connection is yielded once, and not again as what it was before.
func TestGoneIsToldOnce(t *testing.T) {
	var got []monitor.Message
	w := &watch{seen: map[string]uint64{}, gone: map[string]uint64{"k": 5}, yield: func(m monitor.Message, _ error) bool {
		got = append(got, m)
		return true
	}}
	for _, m := range []monitor.Message{{Key: "k", Rev: 5}, {Key: "k", Rev: 6, Deleted: true}, {Key: "k", Rev: 7}, {Key: "k", Rev: 8, Deleted: true}} {
		if err := w.take(m); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 2 || got[0].Rev != 7 || got[1].Rev != 8 {
		t.Errorf("got %v, want what came anew, and its deletion", got)
	}
}
