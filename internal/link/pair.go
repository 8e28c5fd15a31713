package link

import (
	"io"
	"sync"
)

// Pair makes two connected Conns inside one process. They hand over bodies by
// reference and block on channels only, so that they run inside a
// testing/synctest bubble.
func Pair() (driver, worker Conn) {
	a, b := newMailbox(), newMailbox()
	return &pairConn{in: a, out: b}, &pairConn{in: b, out: a}
}

// mailbox holds the frames on their way to one side.
type mailbox struct {
	mu     sync.Mutex
	frames []Frame
	ended  bool          // the sender is gone: what is here can still be read
	closed bool          // the receiver is gone: what is here is dropped
	wake   chan struct{} // holds one token when there may be something to see
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

func (m *mailbox) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// shut marks the box and wakes its receiver.
func (m *mailbox) shut(receiver bool) {
	m.mu.Lock()
	m.ended = true
	if receiver && !m.closed {
		m.closed = true
		for _, f := range m.frames {
			f.Parcel.Close()
		}
		m.frames = nil
	}
	m.mu.Unlock()
	m.signal()
}

type pairConn struct{ in, out *mailbox }

func (c *pairConn) Queued() int { return 0 }

func (c *pairConn) Send(f Frame) (kept bool) {
	m := c.out
	m.mu.Lock()
	if m.ended {
		m.mu.Unlock()
		f.Parcel.Close()
		return false
	}
	m.frames = append(m.frames, f)
	m.mu.Unlock()
	m.signal()
	return true
}

func (c *pairConn) Flush()             {}
func (c *pairConn) Wait(int)           {}
func (c *pairConn) Pending() bool      { return false }
func (c *pairConn) CarriesFiles() bool { return true }
func (c *pairConn) Local() bool        { return true }

func (c *pairConn) Buffered() bool {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	return len(c.in.frames) > 0
}

func (c *pairConn) Recv() (Frame, bool, error) {
	m := c.in
	for {
		m.mu.Lock()
		switch {
		case m.closed:
			m.mu.Unlock()
			m.signal()
			return Frame{}, false, ErrClosed
		case len(m.frames) > 0:
			f := m.frames[0]
			m.frames[0] = Frame{}
			m.frames = m.frames[1:]
			m.mu.Unlock()
			return f, true, nil
		case m.ended:
			m.mu.Unlock()
			m.signal()
			return Frame{}, false, io.EOF
		}
		m.mu.Unlock()
		<-m.wake
	}
}

func (c *pairConn) Close() error {
	c.in.shut(true)
	c.out.shut(false)
	return nil
}
