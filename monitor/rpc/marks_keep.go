package rpc

import (
	"math"

	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

// keep puts c, which has ended, among the outcomes kept. The caller has the lock, here and below.
func (m *marks) keep(c *marked, size int) {
	c.size, c.at = size+tombBytes, m.now()
	m.bytes += c.size
	c.place = m.outcomes.PushBack(c)
	m.tidy()
}

// tidy lets go of what is too old or too much.
func (m *marks) tidy() {
	now := m.now()
	for e := m.outcomes.Front(); e != nil; e = m.outcomes.Front() {
		c := e.Value.(*marked)
		if m.bytes <= m.Kept && now.Sub(c.at) < m.KeptAge {
			break
		}
		m.outcomes.Remove(e)
		m.bytes -= c.size - tombBytes
		c.gone, c.value, c.fail, c.log, c.size = true, nil, nil, nil, tombBytes
		c.place = m.tombs.PushBack(c)
		m.bury()
	}
}

// bury bounds the tombstones to a quarter of what is kept.
func (m *marks) bury() {
	for m.tombs.Len()*tombBytes > m.Kept/4 {
		c := m.tombs.Front().Value.(*marked)
		m.raise(c.ses, max(c.number, c.ses.floor))
		m.drop(c) // if the floor was above it
	}
}

// raise drops what is kept of the calls of s up to floor.
func (m *marks) raise(s *session, floor uint64) {
	if floor-s.floor > uint64(len(s.calls)) {
		for n, c := range s.calls {
			if n <= floor && c.ended {
				m.drop(c)
			}
		}
	} else {
		for n := s.floor + 1; n <= floor; n++ {
			if c := s.calls[n]; c != nil && c.ended {
				m.drop(c)
			}
		}
	}
	s.floor = floor
}

// drop forgets c, which has ended.
func (m *marks) drop(c *marked) {
	if c.place == nil {
		return
	}
	if c.gone {
		m.tombs.Remove(c.place)
	} else {
		m.outcomes.Remove(c.place)
	}
	m.bytes -= c.size
	c.place = nil
	delete(c.ses.calls, c.number)
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
	case c == nil && n > s.floor && n <= mostNumber:
		c = &marked{ses: s, number: n, ended: true, fail: errCancel}
		s.calls[n] = c
		m.keep(c, 0)
	}
	return nil
}
