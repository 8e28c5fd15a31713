package rpc

import (
	"container/heap"
	"fmt"
	"math"

	"connectrpc.com/connect/v2"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

var errSkipped = refuse(connect.CodeInvalidArgument, "mark", fmt.Sprintf("a mark's number is at most %d above done and the numbers before it", mostSkipped))

// skips reports whether the number n of a mark with that done is too far above those before it.
func (s *session) skips(n, done uint64) bool {
	before := max(s.highest, s.floor, done)
	return n > before && n-before > mostSkipped
}

// add puts c among the calls of s.
func (s *session) add(c *marked) {
	c.ses = s
	s.calls[c.number] = c
	heap.Push(&s.order, c.number)
	s.highest = max(s.highest, c.number)
}

// keep puts c, which has ended, among the outcomes kept. The caller has the lock, here and below.
func (m *marks) keep(c *marked, size int) {
	c.size, c.at = size+tombBytes, m.now()
	c.place, c.age = c.ses.outcomes.PushBack(c), m.outcomes.PushBack(c)
	m.weigh(c.ses, c.size)
	if c.size > m.Kept || c.size > m.Kept/2 && c.log == nil { // it rather than all that was before
		m.evict(c)
	}
	m.tidy()
}

// weigh counts bytes more of s.
func (m *marks) weigh(s *session, bytes int) {
	m.bytes += bytes
	s.bytes += bytes
	heap.Fix(&m.heaviest, s.weight)
}

// tidy lets go of what is too old or too much.
func (m *marks) tidy() {
	now := m.now()
	for e := m.outcomes.Front(); e != nil; e = m.outcomes.Front() {
		c := e.Value.(*marked)
		if now.Sub(c.at) < m.KeptAge {
			break
		}
		if c.isRead() {
			m.refresh(c)
			continue
		}
		m.evict(c)
	}
	for m.bytes > max(m.Kept, 0) {
		s := m.heaviest[0]
		if e := s.outcomes.Front(); e != nil && s.tombs.Len()*tombBytes <= s.bytes/4 {
			m.evict(e.Value.(*marked))
		} else {
			m.bury(s)
		}
	}
}

// isRead reports whether c is a stream that has ended, of which a request reads the rest.
func (c *marked) isRead() bool { return c.log != nil && c.waiters > 0 }

// refresh makes an outcome as young as one of now.
func (m *marks) refresh(c *marked) {
	c.at = m.now()
	c.ses.outcomes.MoveToBack(c.place)
	m.outcomes.MoveToBack(c.age)
}

// evict makes a tombstone of an outcome.
func (m *marks) evict(c *marked) {
	s := c.ses
	s.outcomes.Remove(c.place)
	m.outcomes.Remove(c.age)
	m.weigh(s, tombBytes-c.size)
	c.gone, c.log, c.size = true, nil, tombBytes
	if c.joined == 0 {
		c.value, c.fail = nil, nil
	}
	c.place = s.tombs.PushBack(c)
	if s.tombs.Len() > mostTombs {
		m.bury(s)
	}
}

// bury drops the oldest tombstone of s. All numbers up to its own are refused from then on.
func (m *marks) bury(s *session) {
	m.raise(s, s.tombs.Front().Value.(*marked).number)
}

// raise drops what is kept of the calls of s up to floor.
func (m *marks) raise(s *session, floor uint64) {
	s.floor = floor
	for len(s.order) > 0 && s.order[0] <= floor {
		if c := s.calls[heap.Pop(&s.order).(uint64)]; c.ended {
			m.drop(c)
		}
	}
}

// drop forgets c, which has ended.
func (m *marks) drop(c *marked) {
	s := c.ses
	if c.gone {
		s.tombs.Remove(c.place)
	} else {
		s.outcomes.Remove(c.place)
		m.outcomes.Remove(c.age)
	}
	m.weigh(s, -c.size)
	delete(s.calls, c.number)
}

// forget drops s and all that is kept of it, and cancels what runs.
func (m *marks) forget(s *session) {
	delete(m.sessions, s.id)
	m.used.Remove(s.place)
	s.floor = math.MaxUint64
	for _, c := range s.calls {
		if c.ended {
			m.drop(c)
		} else {
			c.cancel(errCancel)
		}
	}
	heap.Remove(&m.heaviest, s.weight)
}

// cancel ends the call with mark k, also if it has not come yet: then it will not run. With the number 0 it ends the session and all that runs in it.
func (m *marks) cancel(k *xmev1.Mark, owner string) *failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, f := m.find(k, owner)
	if f != nil {
		return f
	}
	m.tidy()
	n := k.GetNumber()
	if n == 0 {
		m.forget(s)
		return nil
	}
	switch c := s.calls[n]; {
	case c != nil && !c.ended:
		c.cancel(errCancel)
	case c == nil && s.skips(n, k.GetDone()):
		return errSkipped
	case c == nil && n > s.floor && n <= mostNumber:
		c = &marked{number: n, ended: true, fail: errCancel}
		s.add(c)
		m.keep(c, 0)
	}
	return nil
}

// enter takes in a call of who without a mark, of which there may be as many as of a session, if there is such a bound. Then exit follows.
func (m *marks) enter(who string) *failure {
	if m.CallsPerSession == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.unmarked[who]; n >= m.CallsPerSession {
		return refuse(connect.CodeResourceExhausted, "busy", fmt.Sprintf("busy: %d calls of the client without marks in flight, the limit; try again later", n))
	}
	m.unmarked[who]++
	return nil
}

func (m *marks) exit(who string) {
	if m.CallsPerSession == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unmarked[who]--; m.unmarked[who] == 0 {
		delete(m.unmarked, who)
	}
}
