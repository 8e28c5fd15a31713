package rpc

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

// TestSparseNumbers: numbers with large gaps are refused, and what is kept of those with smaller ones is bounded, in calls and in bytes.
func TestSparseNumbers(t *testing.T) {
	m, _ := testMarks(markLimits{Sessions: 3, Kept: 64 << 20, KeptAge: time.Minute, Linger: time.Second})
	id, _ := m.open("o")
	refused := func(f *failure) bool { return f != nil && f.reason == "mark" }
	if f := m.cancel(m.mark(id, 1e9, 0), "o"); !refused(f) {
		t.Errorf("Cancel of a number that leaves out 1e9: %v", f)
	}
	wants(t, m, m.mark(id, 1e9, 0), false, "mark")
	m.finish(wants(t, m, m.mark(id, 1e9, 1e9-1), true, ""), nil, nil, 0) // those before it are done with
	s := m.sessions[id]
	n := uint64(1e9)
	for range 20000 {
		n += mostSkipped
		if f := m.cancel(m.mark(id, n, 0), "o"); f != nil {
			t.Fatal(f)
		}
	}
	m.check(t)
	m.KeptAge = 0 // all are too old
	wants(t, m, m.mark(id, n, 0), false, "forgotten")
	m.check(t)
	if len(s.calls) != mostTombs || len(s.order) != mostTombs || s.tombs.Len() != mostTombs {
		t.Errorf("%d calls, %d numbers and %d tombstones are kept", len(s.calls), len(s.order), s.tombs.Len())
	}
	wants(t, m, m.mark(id, s.floor, 0), false, "forgotten")
}

// TestKeptIsShared: a session that fills what may be kept lets go of its own outcomes, and an outcome that is too large of itself.
func TestKeptIsShared(t *testing.T) {
	m, _ := testMarks(someLimits)
	a, _ := m.open("o")
	b, _ := m.open("o")
	m.finish(wants(t, m, m.mark(a, 1, 0), true, ""), "a", nil, 100)
	for n := uint64(1); n < 2000; n++ {
		m.finish(wants(t, m, m.mark(b, n, 0), true, ""), "b", nil, 300)
	}
	if v, _ := m.wait(t.Context(), wants(t, m, m.mark(a, 1, 0), false, "")); v != "a" {
		t.Error("the outcome of another session was let go")
	}
	m.finish(wants(t, m, m.mark(b, 2000, 0), true, ""), "b", nil, 2000)
	wants(t, m, m.mark(b, 2000, 0), false, "forgotten")
	if v, _ := m.wait(t.Context(), wants(t, m, m.mark(b, 1999, 0), false, "")); v != "b" {
		t.Error("outcomes before a large one were let go")
	}
	m.check(t)
}

// TestOutcomeOutlivesItsPlace: all that wait for a call are told its outcome, after it has been let go too; who comes then is not.
func TestOutcomeOutlivesItsPlace(t *testing.T) {
	l := someLimits
	l.Kept = 1
	m, _ := testMarks(l)
	id, _ := m.open("o")
	c := wants(t, m, m.mark(id, 1, 0), true, "")
	for range 2 {
		wants(t, m, m.mark(id, 1, 0), false, "")
	}
	m.finish(c, "out", nil, 3)
	wants(t, m, m.mark(id, 1, 0), false, "forgotten")
	for range 2 {
		if v, f := m.wait(t.Context(), c); v != "out" || f != nil {
			t.Error(v, f)
		}
	}
	if c.value != nil {
		t.Error("the outcome stays")
	}
}

// TestWaitersAreBounded: so many requests wait for a call at once, and no more.
func TestWaitersAreBounded(t *testing.T) {
	m, _ := testMarks(someLimits)
	id, _ := m.open("o")
	c := wants(t, m, m.mark(id, 1, 0), true, "")
	for range mostWaiters - 1 {
		wants(t, m, m.mark(id, 1, 0), false, "")
	}
	wants(t, m, m.mark(id, 1, 0), false, "busy")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = m.wait(ctx, c)
	wants(t, m, m.mark(id, 1, 0), false, "")
}

// TestLingerEndsOnce: whether a call goes on is decided with the request that comes to wait for it: it is told that nobody waited, or it waits.
func TestLingerEndsOnce(t *testing.T) {
	m, clock := testMarks(someLimits)
	id, _ := m.open("o")
	c := wants(t, m, m.mark(id, 1, 0), true, "")
	m.leave(c)
	cancel := c.cancel
	c.cancel = func(why error) {
		if m.mu.TryLock() {
			t.Error("it is cancelled where a request may come in between")
			m.mu.Unlock()
		}
		cancel(why)
	}
	clock.advance(time.Second)
	if !errors.Is(context.Cause(c.ctx), errLinger) {
		t.Error(context.Cause(c.ctx))
	}
}

// TestRunHasDeadline: what runs knows when it must have ended.
func TestRunHasDeadline(t *testing.T) {
	m, _ := testMarks(someLimits)
	id, _ := m.open("o")
	end := time.Now().Add(time.Hour)
	c, _, _, f := m.begin(m.mark(id, 1, 0), "o", 1, end, nil, false, nil)
	if f != nil {
		t.Fatal(f)
	}
	if d, ok := c.ctx.Deadline(); !ok || !d.Equal(end) {
		t.Error(d, ok)
	}
	m.finish(c, nil, nil, 0)
}

// TestCancelBeforeLog: a stream that was cancelled before it came has no log, and is told why.
func TestCancelBeforeLog(t *testing.T) {
	m, _ := testMarks(someLimits)
	id, _ := m.open("o")
	k := &xmev1.Mark{Life: m.life, Session: id, Number: 1}
	if f := m.cancel(k, "o"); f != nil {
		t.Fatal(f)
	}
	c, l, first, f := m.begin(k, "o", 1, time.Time{}, &rowLog{}, false, nil)
	if l != nil || first || f != nil {
		t.Fatal(l, first, f)
	}
	if _, f := m.wait(t.Context(), c); f != errCancel {
		t.Error(f)
	}
}
