package rpc

import (
	"container/heap"
	"container/list"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

// marks makes marked calls run at most once. For each session it knows the calls that run and the outcomes that the client may not have; what it no
// longer knows it refuses. It does no input or output; its methods may be called from any goroutine.
//
// What it keeps is bounded: sessions, by letting go of those longest unused in which nothing runs; outcomes, by age, and by bytes, the oldest of the
// session that has most first. Of an outcome let go a tombstone stays, so that its number does not run again; when a session has too many of them, all its
// numbers up to the oldest are refused.
type marks struct {
	life string
	base context.Context //nolint:containedctx // the parent of all runs, for as long as the server lives
	markLimits
	now   func() time.Time
	after func(time.Duration, func()) (stop func() bool)
	sizes sync.Map // bytes of a row, of late, by function

	mu       sync.Mutex
	sessions map[string]*session
	used     list.List      // of *session, the longest unused first
	heaviest weights        // the sessions, by what is kept of them
	outcomes list.List      // of *marked that have ended, the oldest first
	bytes    int            // of all that is kept
	unmarked map[string]int // calls without a mark in flight, by who calls
}

// markLimits bounds what a server keeps for marked calls; see [Limits].
type markLimits struct {
	Sessions        int
	CallsPerSession int
	Kept            int
	KeptAge, Linger time.Duration
}

// session is a client's.
type session struct {
	id, owner string
	floor     uint64 // up to it the client has all outcomes, or they are let go
	highest   uint64 // of the numbers that have come
	calls     map[uint64]*marked
	order     numbers // of calls, above floor
	running   int
	outcomes  list.List // of *marked that have ended, the oldest first
	tombs     list.List // of *marked whose outcome was let go
	bytes     int       // of both
	place     *list.Element
	weight    int // its place among the heaviest
}

// marked is a marked call. The marks' lock guards what is below it.
type marked struct {
	ctx    context.Context //nolint:containedctx // the run's
	cancel context.CancelCauseFunc
	log    *rowLog // of a stream; nil: it is a call
	ses    *session
	number uint64
	sum    uint64 // of what is called

	waiters int // requests for it under way
	joined  int // those of them that wait for its outcome, which stays until they have it
	ended   bool
	gone    bool // its outcome was let go
	value   any
	fail    *failure
	size    int
	at      time.Time
	place   *list.Element // in a list of its session
	age     *list.Element // among all outcomes
	done    chan struct{} // closed at its end; nil: nobody waits
	stop    func() bool   // of its timer; nil: none runs
}

const (
	mostNumber  = 1 << 62 // of a call
	mostSkipped = 1 << 16 // numbers that a client may leave out
	mostWaiters = 16      // requests for one call
	mostTombs   = 1024    // of a session
	tombBytes   = 200     // what a tombstone counts
)

var (
	errLinger = refuse(connect.CodeCanceled, "", "no request waited for the call any more")
	errCancel = refuse(connect.CodeCanceled, "", "the client cancelled the call")
)

func newMarks(base context.Context, l markLimits) *marks {
	m := &marks{life: rand.Text(), base: base, markLimits: l, now: time.Now, sessions: map[string]*session{}, unmarked: map[string]int{}}
	m.after = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
	return m
}

// open makes a session for owner. It fails if there are as many as there may be, and in each something runs.
func (m *marks) open(owner string) (string, *failure) {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	s := &session{id: base64.RawURLEncoding.EncodeToString(id), owner: owner, calls: map[uint64]*marked{}}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tidy()
	for e := m.used.Front(); e != nil && len(m.sessions) >= m.Sessions; {
		old := e.Value.(*session)
		e = e.Next()
		if old.running == 0 {
			m.forget(old)
		}
	}
	if len(m.sessions) >= m.Sessions {
		return "", refuse(connect.CodeResourceExhausted, "busy", fmt.Sprintf("busy: %d sessions, the limit; try again later", m.Sessions))
	}
	m.sessions[s.id] = s
	s.place = m.used.PushBack(s)
	heap.Push(&m.heaviest, s)
	return s.id, nil
}

// find returns the session that a mark names, if it is owner's.
func (m *marks) find(k *xmev1.Mark, owner string) (*session, *failure) {
	if k.GetLife() != m.life {
		return nil, refuse(connect.CodeFailedPrecondition, "restarted", "the server has been started again since the session was opened; what it ran before is not known")
	}
	s := m.sessions[k.GetSession()]
	if s == nil || s.owner != owner {
		return nil, refuse(connect.CodeFailedPrecondition, "forgotten", "there is no such session (any more)")
	}
	return s, nil
}

// begin takes in a request with mark k of owner, for what has that sum. first reports that the call has not run: the caller runs it under c.ctx and says
// finish. Otherwise it waits for the call with wait. take, if not nil, is asked under the lock before a call may begin; end is the call's deadline, or
// zero; more says that the client has rows of the stream, so that it cannot begin now.
//
// It returns the call and its log, if it is a stream that has begun. Each begin without failure is followed by one wait if there is no log, else by one
// leave; of who runs the call by finish, after a leave if the request ends before the call.
func (m *marks) begin(k *xmev1.Mark, owner string, sum uint64, end time.Time, log *rowLog, more bool, take func() *failure) (c *marked, of *rowLog, first bool, f *failure) {
	n, done := k.GetNumber(), k.GetDone()
	if n == 0 || n > mostNumber || done >= n {
		return nil, nil, false, refuse(connect.CodeInvalidArgument, "mark", "a mark's number is from 1 to 2^62, and above done")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s, f := m.find(k, owner)
	if f == nil {
		if c := s.calls[n]; c != nil && c.ended && !c.gone && c.log != nil { // its client comes for the rest
			m.refresh(c)
		}
	}
	m.tidy()
	if f != nil {
		return nil, nil, false, f
	}
	m.used.MoveToBack(s.place)
	if s.skips(n, done) {
		return nil, nil, false, errSkipped
	}
	if done > s.floor {
		m.raise(s, done)
	}
	c = s.calls[n]
	switch {
	case c == nil && (n <= s.floor || more):
		return nil, nil, false, m.forgotten(n)
	case c == nil:
		if m.CallsPerSession > 0 && s.running >= m.CallsPerSession {
			return nil, nil, false, refuse(connect.CodeResourceExhausted, "busy", fmt.Sprintf("busy: %d calls of the session in flight, the limit; try again later", s.running))
		}
		if take != nil {
			if f := take(); f != nil {
				return nil, nil, false, f
			}
		}
		c = &marked{number: n, sum: sum, waiters: 1, log: log}
		c.ctx, c.cancel = m.within(end)
		s.add(c)
		s.running++
		return c, log, true, nil
	case c.gone:
		return nil, nil, false, m.forgotten(n)
	case c.sum != sum && c.sum != 0 && !more:
		return nil, nil, false, refuse(connect.CodeInvalidArgument, "mark", fmt.Sprintf("the number %d was used before, for a call of something else", n))
	case (c.log == nil) != (log == nil) && c.sum != 0:
		return nil, nil, false, refuse(connect.CodeInvalidArgument, "mark", fmt.Sprintf("the number %d was used before, for a call of another kind", n))
	case !c.ended && c.waiters >= mostWaiters:
		return nil, nil, false, refuse(connect.CodeResourceExhausted, "busy", fmt.Sprintf("busy: %d requests wait for the call %d, the limit", c.waiters, n))
	}
	c.waiters++
	if c.log == nil {
		c.joined++
	}
	c.calm()
	return c, c.log, false, nil
}

func (m *marks) forgotten(n uint64) *failure {
	return refuse(connect.CodeFailedPrecondition, "forgotten", fmt.Sprintf("the outcome of call %d has been let go, or it was reported as received", n))
}

// within returns the context of a call with that deadline.
func (m *marks) within(end time.Time) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(m.base)
	if end.IsZero() {
		return ctx, cancel
	}
	ctx, stop := context.WithDeadlineCause(ctx, end, context.DeadlineExceeded)
	return ctx, func(why error) {
		cancel(why)
		stop()
	}
}

// calm stops c's timer.
func (c *marked) calm() {
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

// wait returns the outcome of a call that another request began, once it has ended. If ctx ends first it leaves the call, and fails with ctx's error.
func (m *marks) wait(ctx context.Context, c *marked) (any, *failure) {
	m.mu.Lock()
	if !c.ended && c.done == nil {
		c.done = make(chan struct{})
	}
	ended, done := c.ended, c.done
	m.mu.Unlock()
	if !ended {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	value, fail := c.value, c.fail
	c.joined--
	if c.gone && c.joined == 0 {
		c.value, c.fail = nil, nil
	}
	m.part(c)
	if !c.ended {
		return nil, failureOf(context.Cause(ctx))
	}
	return value, fail
}

// leave says that a request no longer waits for c. If none does, c is cancelled after Linger.
func (m *marks) leave(c *marked) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.part(c)
}

func (m *marks) part(c *marked) {
	c.waiters--
	if !c.ended && c.waiters == 0 {
		c.stop = m.after(m.Linger, func() { m.expire(c) })
	}
}

// expire cancels c unless a request waits for it.
func (m *marks) expire(c *marked) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.waiters == 0 {
		c.cancel(errLinger)
	}
}

// finish gives c its outcome, which takes size bytes.
func (m *marks) finish(c *marked, value any, f *failure, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.cancel(nil)
	c.calm()
	c.ended, c.value, c.fail = true, value, f
	if c.done != nil {
		close(c.done)
	}
	s := c.ses
	s.running--
	if m.sessions[s.id] != s || c.number <= s.floor {
		delete(s.calls, c.number)
		return
	}
	m.keep(c, size)
}
