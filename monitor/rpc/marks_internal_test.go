package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

// clock is the time of a test, and its timers.
type clock struct {
	at     time.Time
	timers map[int]*timer
	n      int
}

type timer struct {
	at time.Time
	f  func()
}

func (c *clock) after(d time.Duration, f func()) func() bool {
	c.n++
	n := c.n
	c.timers[n] = &timer{c.at.Add(d), f}
	return func() bool { _, ok := c.timers[n]; delete(c.timers, n); return ok }
}

func (c *clock) advance(d time.Duration) {
	c.at = c.at.Add(d)
	for n, t := range c.timers {
		if !t.at.After(c.at) {
			delete(c.timers, n)
			t.f()
		}
	}
}

func testMarks(l markLimits) (*marks, *clock) {
	c := &clock{at: time.Unix(1e9, 0), timers: map[int]*timer{}}
	m := newMarks(context.Background(), l)
	m.now = func() time.Time { return c.at }
	m.after = c.after
	return m, c
}

var someLimits = markLimits{Sessions: 3, Kept: 3000, KeptAge: time.Minute, Linger: time.Second}

func (m *marks) mark(ses string, number, done uint64) *xmev1.Mark {
	return &xmev1.Mark{Life: m.life, Session: ses, Number: number, Done: done}
}

// try begins a call for the sum 1.
func (m *marks) try(k *xmev1.Mark) (*marked, bool, string) {
	c, _, first, f := m.begin(k, "o", 1, time.Time{}, nil, false, nil)
	if f != nil {
		return nil, false, f.reason
	}
	return c, first, ""
}

func wants(t *testing.T, m *marks, k *xmev1.Mark, first bool, reason string) *marked {
	t.Helper()
	c, f, r := m.try(k)
	if f != first || r != reason {
		t.Fatalf("call %d: first %v, %q; want %v, %q", k.GetNumber(), f, r, first, reason)
	}
	return c
}

// feature: N3
func TestMarks(t *testing.T) {
	m, clock := testMarks(someLimits)
	s, _ := m.open("o")
	c := wants(t, m, m.mark(s, 1, 0), true, "")
	joined := wants(t, m, m.mark(s, 1, 0), false, "")
	m.finish(c, "out", nil, 10)
	if v, f := m.wait(t.Context(), joined); v != "out" || f != nil {
		t.Fatal(v, f)
	}
	if v, _ := m.wait(t.Context(), wants(t, m, m.mark(s, 1, 0), false, "")); v != "out" {
		t.Fatal("an ended call does not tell its outcome")
	}
	m.finish(wants(t, m, m.mark(s, 2, 1), true, ""), "", nil, 0)
	wants(t, m, m.mark(s, 1, 0), false, "forgotten") // done says so
	clock.advance(time.Minute)
	wants(t, m, m.mark(s, 2, 0), false, "forgotten") // too old
	for n := uint64(10); n < 30; n++ {               // too much
		m.finish(wants(t, m, m.mark(s, n, 0), true, ""), "", nil, 500)
	}
	wants(t, m, m.mark(s, 10, 0), false, "forgotten")
	wants(t, m, m.mark(s, 29, 0), false, "")
	if m.bytes > someLimits.Kept {
		t.Error(m.bytes)
	}
	wants(t, m, m.mark(s, 40, 40), false, "mark")
	wants(t, m, m.mark(s, 0, 0), false, "mark")
	wants(t, m, &xmev1.Mark{Life: "x", Session: s, Number: 1}, false, "restarted")
	if _, _, _, f := m.begin(m.mark(s, 41, 0), "other", 1, time.Time{}, nil, false, nil); f == nil || f.reason != "forgotten" {
		t.Error("another's session")
	}
	wants(t, m, m.mark(s, 42, 0), true, "")
	if _, _, _, f := m.begin(m.mark(s, 42, 0), "o", 3, time.Time{}, nil, false, nil); f == nil || f.reason != "mark" {
		t.Error("another call with the number")
	}
}

func TestMarksCancel(t *testing.T) {
	m, clock := testMarks(someLimits)
	s, _ := m.open("o")
	ended := func(c *marked, want error) {
		t.Helper()
		if err := context.Cause(c.ctx); !errors.Is(err, want) || want == nil && err != nil {
			t.Fatalf("ended by %v, want %v", err, want)
		}
	}
	// Linger: a request that comes in time takes it up again.
	c := wants(t, m, m.mark(s, 1, 0), true, "")
	m.leave(c)
	clock.advance(900 * time.Millisecond)
	wants(t, m, m.mark(s, 1, 0), false, "")
	clock.advance(time.Hour)
	ended(c, nil)
	m.leave(c)
	clock.advance(time.Second)
	ended(c, errLinger)
	m.finish(c, nil, errLinger, 0)
	// Deadline: of the first request.
	c, _, _, _ = m.begin(m.mark(s, 2, 0), "o", 1, clock.at.Add(10*time.Millisecond), nil, false, nil)
	m.leave(c)
	clock.advance(10 * time.Millisecond)
	ended(c, context.DeadlineExceeded)
	m.finish(c, nil, errLinger, 0)
	// Cancel: a call that runs, one that has not come, all.
	c = wants(t, m, m.mark(s, 3, 0), true, "")
	if f := m.cancel(m.mark(s, 3, 0), "o"); f != nil {
		t.Fatal(f)
	}
	ended(c, errCancel)
	_ = m.cancel(m.mark(s, 4, 0), "o")
	if _, f := m.wait(t.Context(), wants(t, m, m.mark(s, 4, 0), false, "")); f != errCancel {
		t.Fatal(f)
	}
	c = wants(t, m, m.mark(s, 5, 0), true, "")
	if m.cancel(m.mark(s, 0, 0), "x") == nil {
		t.Fatal("another ends the session")
	}
	_ = m.cancel(m.mark(s, 0, 0), "o")
	ended(c, errCancel)
	wants(t, m, m.mark(s, 6, 0), false, "forgotten")
	m.finish(c, nil, errCancel, 0)
	if len(m.sessions) != 0 || m.bytes != 0 {
		t.Error(len(m.sessions), m.bytes)
	}
}

func TestMarksSessions(t *testing.T) {
	m, _ := testMarks(someLimits)
	var ids []string
	for range 3 {
		s, _ := m.open("o")
		ids = append(ids, s)
		wants(t, m, m.mark(s, 1, 0), true, "")
	}
	if _, f := m.open("o"); f == nil || f.reason != "busy" {
		t.Fatal("a session in which something runs was forgotten")
	}
	m.finish(m.sessions[ids[1]].calls[1], nil, nil, 0)
	if _, f := m.open("o"); f != nil {
		t.Fatal(f)
	}
	wants(t, m, m.mark(ids[1], 2, 0), false, "forgotten")
}

// playMarks plays what data says with marks, and holds them to what they promise: no number begins twice, what is told of a call is how it ended, and
// what is kept is bounded and counted.
func playMarks(t *testing.T, data []byte) {
	t.Helper()
	m, clock := testMarks(someLimits)
	type key struct {
		ses string
		n   uint64
	}
	begun, running, outcomes := map[key]bool{}, map[key]*marked{}, map[key]int{}
	waiting := map[key][]*marked{}
	told := func(k key, c *marked) {
		v, f := m.wait(t.Context(), c)
		if f == nil && v != outcomes[k] || f != nil && f != errCancel {
			t.Fatalf("call %v ended with %v, and tells %v, %v", k, outcomes[k], v, f)
		}
	}
	var ids []string
	for i := 0; i+2 < len(data); i += 3 {
		op, a, b := data[i], data[i+1], data[i+2]
		ses := ""
		if len(ids) > 0 {
			ses = ids[int(a)%len(ids)]
		}
		k := key{ses, uint64(b%16) + 1}
		switch op % 8 {
		case 0:
			if id, f := m.open("o"); f == nil {
				ids = append(ids, id)
			}
		case 1, 2, 3:
			var log *rowLog
			if k.n%4 == 0 { // these are streams
				log = &rowLog{}
			}
			c, log, first, f := m.begin(m.mark(ses, k.n, uint64(a%4)), "o", 1, time.Time{}, log, false, nil)
			if f == nil && log == nil && k.n%4 == 0 && (first || !c.ended) {
				t.Fatalf("the stream %v has no log", k)
			}
			if first && begun[k] {
				t.Fatalf("call %v began twice", k)
			}
			if first {
				begun[k], running[k] = true, c
			}
			switch {
			case c == nil || first:
			case log != nil:
				m.leave(c)
			case !c.ended || op%8 == 1:
				waiting[k] = append(waiting[k], c)
			default:
				told(k, c)
			}
		case 4, 5:
			if c := running[k]; c != nil {
				outcomes[k] = i
				m.finish(c, i, nil, int(a)*4)
				delete(running, k)
			}
			if op%8 == 5 && running[k] == nil {
				for _, c := range waiting[k] {
					told(k, c)
				}
				delete(waiting, k)
			}
		case 6:
			_ = m.cancel(m.mark(ses, uint64(b%17), 0), "o")
			begun[k] = begun[k] || b%17 == byte(k.n)
		case 7:
			if c := running[k]; c != nil && a%2 == 0 && c.waiters > len(waiting[k]) {
				m.leave(c)
			}
			clock.advance(time.Duration(b) * 100 * time.Millisecond)
		}
		m.check(t)
	}
}

// check holds the books against each other.
func (m *marks) check(t *testing.T) {
	t.Helper()
	bytes, kept, listed := 0, 0, m.outcomes.Len()
	for _, s := range m.sessions {
		n, held := 0, 0
		listed += s.tombs.Len()
		for _, c := range s.calls {
			if c.ended {
				held += c.size
				kept++
			} else {
				n++
			}
		}
		bytes += held
		if n != s.running || held != s.bytes || m.heaviest[s.weight] != s || s.tombs.Len() > mostTombs {
			t.Fatalf("%d run, and %d are counted; %d bytes are kept, and %d are counted; %d tombs", n, s.running, held, s.bytes, s.tombs.Len())
		}
	}
	if bytes != m.bytes || kept != listed || len(m.heaviest) != len(m.sessions) || bytes > m.Kept || len(m.sessions) != m.used.Len() || len(m.sessions) > m.Sessions {
		t.Fatalf("%d bytes and %d calls are kept; counted are %d, %d and %d; %d sessions, %d", bytes, kept, m.bytes, m.outcomes.Len(), listed, len(m.sessions), m.used.Len())
	}
}

func TestMarksRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		data := make([]byte, 600)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		playMarks(t, data)
	}
}

func FuzzMarks(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 1, 4, 200, 1, 1, 0, 1, 7, 0, 255, 6, 0, 1})
	f.Fuzz(playMarks)
}

// A stream that has ended stays as long as its client comes for the rest, or reads it, however old it is and however much.
func TestEndedStreamIsKeptForItsReader(t *testing.T) {
	m, clock := testMarks(someLimits)
	id, f := m.open("o")
	if f != nil {
		t.Fatal(f)
	}
	begin := func(more bool) (*marked, *rowLog) {
		t.Helper()
		c, l, first, f := m.begin(m.mark(id, 1, 0), "o", 1, time.Time{}, &rowLog{}, more, nil)
		if f != nil || first == more {
			t.Fatalf("at %v: %v, first %v", clock.at, f, first)
		}
		return c, l
	}
	c, l := begin(false)
	m.finish(c, nil, nil, m.Kept/2+1+l.end(nil))
	m.leave(c)
	for range 3 { // requests that read nothing for a while and end
		clock.at = clock.at.Add(m.KeptAge - 1)
		c, l = begin(true)
		if l == nil {
			t.Fatal("no log")
		}
		m.leave(c)
	}
	c, _ = begin(true)
	clock.at = clock.at.Add(2 * m.KeptAge) // one that takes long
	other, f := m.open("o")
	if f != nil {
		t.Fatal(f)
	}
	wants(t, m, m.mark(other, 1, 0), true, "") // it tidies up
	m.leave(c)
	begin(true)
	m.leave(c)
	clock.at = clock.at.Add(m.KeptAge) // nobody comes
	wants(t, m, m.mark(other, 2, 0), true, "")
	if _, _, _, f := m.begin(m.mark(id, 1, 0), "o", 1, time.Time{}, &rowLog{}, true, nil); f == nil || f.reason != "forgotten" {
		t.Errorf("nobody came for it: %v", f)
	}
}

// What callers get is theirs: what many clients return is not written to.
func TestFailuresAreNotShared(t *testing.T) {
	c := &Client{closed: make(chan struct{})}
	for _, shared := range []*Error{errNoServer, errLeft} {
		before := *shared
		err := c.repeat(t.Context(), "", func(int) (note, error) { return final, shared })
		if err = named(err, "f"); err == nil || *shared != before {
			t.Errorf("%v is everybody's, and was written to", shared)
		}
	}
}

type base struct{ V any }

// Numbers are exact in what an embedded struct brings too, whatever its name.
func TestNumbersOfEmbeddedStructs(t *testing.T) {
	var in struct{ base }
	if err := formOf(reflect.TypeOf(in)).decode([]byte(`{"V":9007199254740993}`), &in); err != nil || in.V != int64(9007199254740993) {
		t.Errorf("%T %v, %v", in.V, in.V, err)
	}
}

// A stream that is more than all that may be kept goes alone.
func TestStreamLargerThanAllGoesAlone(t *testing.T) {
	m, _ := testMarks(someLimits)
	id, f := m.open("o")
	if f != nil {
		t.Fatal(f)
	}
	small := wants(t, m, m.mark(id, 1, 0), true, "")
	m.finish(small, "out", nil, 3)
	c, l, _, f := m.begin(m.mark(id, 2, 0), "o", 1, time.Time{}, &rowLog{}, false, nil)
	if f != nil {
		t.Fatal(f)
	}
	m.finish(c, nil, nil, m.Kept+1+l.end(nil))
	m.leave(c)
	wants(t, m, m.mark(id, 1, 0), false, "")
}
