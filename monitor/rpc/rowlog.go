package rpc

import (
	"context"
	"slices"
	"sync"

	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

// rowLog holds the results of a stream in the order in which they came, from the first that its client may not have. Who runs the stream adds to it, one
// request at a time reads it: the newest.
type rowLog struct {
	limit int // bytes held, above which no row is taken in

	mu     sync.Mutex
	base   int // how many rows were let go, since the client has them
	rows   []*xmev1.StreamResponse
	bytes  int
	ended  bool
	reader int           // counts the requests that read
	news   chan struct{} // closed when there is something to read; nil: nobody waits
	room   chan struct{} // closed when rows were let go; nil: nobody waits
}

func wake(c *chan struct{}) {
	if *c != nil {
		close(*c)
		*c = nil
	}
}

func waitFor(c *chan struct{}) <-chan struct{} {
	if *c == nil {
		*c = make(chan struct{})
	}
	return *c
}

func rowBytes(r *xmev1.StreamResponse) int {
	return 100 + len(r.GetResult()) + len(r.GetFailure().GetMessage()) + len(r.GetFailure().GetError())
}

func (l *rowLog) add(r *xmev1.StreamResponse) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = append(l.rows, r)
	l.bytes += rowBytes(r)
	wake(&l.news)
}

// end says that all rows have been added.
func (l *rowLog) end() (bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	wake(&l.news)
	return l.bytes
}

// full waits while the log holds as much as it may. It returns false once ctx has ended.
func (l *rowLog) full(ctx context.Context) bool {
	for {
		l.mu.Lock()
		if l.bytes <= l.limit {
			l.mu.Unlock()
			return ctx.Err() == nil
		}
		room := waitFor(&l.room)
		l.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return false
		}
	}
}

// attach makes the caller the log's reader, from the row after the first received ones. It returns false if these have not been sent yet, or the log has
// let go of later ones.
func (l *rowLog) attach(received int) (reader int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if received < l.base || received > l.base+len(l.rows) {
		return 0, false
	}
	l.reader++
	wake(&l.news) // the reader before
	l.drop(received)
	return l.reader, true
}

// confirm says that the reader's client has the first received rows.
func (l *rowLog) confirm(received int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(received)
}

func (l *rowLog) drop(received int) {
	n := received - l.base
	for i, r := range l.rows[:n] {
		l.bytes -= rowBytes(r)
		l.rows[i] = nil
	}
	l.rows, l.base = l.rows[n:], received
	if n > 0 {
		wake(&l.room)
	}
}

// next returns the rows from at on, as soon as there are any. None and no error: the log has ended before. It returns ctx's error, and errSuperseded if
// another request reads.
func (l *rowLog) next(ctx context.Context, reader, at int) ([]*xmev1.StreamResponse, error) {
	for {
		l.mu.Lock()
		switch {
		case l.reader != reader:
			l.mu.Unlock()
			return nil, errSuperseded
		case at < l.base+len(l.rows) || l.ended:
			rows := slices.Clip(l.rows[at-l.base:])
			l.mu.Unlock()
			return rows, nil
		}
		news := waitFor(&l.news)
		l.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
