package rpc

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

// clientSession is a session that a client has opened.
type clientSession struct {
	life, id string
	message  int // bytes of arguments that the server takes

	mu    sync.Mutex
	next  uint64
	floor uint64              // up to it all numbers are done with
	done  map[uint64]struct{} // above it
}

// mark makes the mark of a call.
func (s *clientSession) mark() *xmev1.Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return &xmev1.Mark{Life: s.life, Session: s.id, Number: s.next, Done: s.floor}
}

// mostApart is how far the numbers of a session's calls may be apart: what one call that takes long keeps the server from forgetting.
const mostApart = 1024

// wide reports whether the next calls should be another session's.
func (s *clientSession) wide() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next-s.floor >= mostApart
}

// idle reports whether all calls so far are done with.
func (s *clientSession) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next == s.floor
}

// finish says that the client needs nothing more of a call.
func (s *clientSession) finish(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number != s.floor+1 {
		s.done[number] = struct{}{}
		return
	}
	for s.floor++; len(s.done) > 0; s.floor++ {
		if _, ok := s.done[s.floor+1]; !ok {
			return
		}
		delete(s.done, s.floor+1)
	}
}

// session returns the open session; if there is none it opens one.
func (c *Client) session(ctx context.Context, dial bool) (*clientSession, error) {
	if c == nil || c.closed == nil {
		return nil, errZero("")
	}
	if s := c.current(); s != nil {
		return s, nil
	}
	select {
	case c.opening <- struct{}{}:
		defer func() { <-c.opening }()
	case <-ctx.Done():
		return nil, c.over(ctx, "")
	case <-c.closed:
		return nil, errClosed("")
	}
	if s := c.current(); s != nil {
		return s, nil
	}
	s := &clientSession{done: map[uint64]struct{}{}}
	err := c.repeat(ctx, "", func(int) (note, error) {
		ctx, cancel := context.WithTimeout(ctx, max(c.retry, leastHello)) // it runs nothing that could take its time
		defer cancel()
		res, err := c.api.Hello(ctx, &xmev1.HelloRequest{})
		if err == nil && (res.GetLife() == "" || res.GetSession() == "" || res.GetMaxMessage() <= 0) {
			return final, errNoServer
		}
		s.life, s.id, s.message = res.GetLife(), res.GetSession(), int(res.GetMaxMessage())
		if dial && isForeign(err) {
			return final, err
		}
		return 0, err
	})
	if err != nil {
		return nil, err
	}
	c.most.Store(int64(s.message) + mostSlack)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil, errClosed("")
	}
	c.ses = s
	return s, nil
}

const (
	leastHello = 2 * time.Second
	mostSlack  = 256 << 10 // of an answer besides a message: headers of errors, details
)

// errNoServer says that what answers is something else.
var errNoServer = &Error{Code: "internal", Message: "what answers at this address is no server of this package's"}

// replace makes the next call open another session than s, whose calls go on.
func (c *Client) replace(s *clientSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ses != s {
		return
	}
	c.ses = nil
	c.old = append(slices.DeleteFunc(c.old, (*clientSession).idle), s)
}

func (c *Client) current() *clientSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ses
}

// drop makes the next call open another session than s.
func (c *Client) drop(s *clientSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ses == s {
		c.ses = nil
	}
}

// cancelled tells the server, beside other calls, that nobody waits for a call any more.
func (c *Client) cancelled(k *xmev1.Mark) {
	c.aside(func(ctx context.Context) { _, _ = c.api.Cancel(ctx, &xmev1.CancelRequest{Mark: k}) })
}
