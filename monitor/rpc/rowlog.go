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

	mu      sync.Mutex
	base    int // how many rows were let go, since the client has them
	rows    []*xmev1.StreamResponse
	bytes   int
	flying  int // rows that have been taken in, and are not there
	most    int // of those, at once, as long as few have come
	largest int // bytes of a row, of late
	ended   bool
	rest    *failure      // of the rows that did not come; nil: all came
	given   int           // how many rows readers were given
	reader  int           // counts the requests that read
	news    chan struct{} // closed when there is something to read; nil: nobody waits
	room    chan struct{} // closed when rows were let go; nil: nobody waits
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
	n := rowBytes(r)
	l.rows = append(l.rows, r)
	l.bytes += n
	l.flying--
	l.most += firstRows * 4
	l.largest = max(n, l.largest-l.largest/16)
	wake(&l.news)
	wake(&l.room)
}

// end says that no more rows come; rest is why, nil if all have.
func (l *rowLog) end(rest *failure) (bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.rest = true, rest
	wake(&l.news)
	return l.bytes
}

// firstRows are taken in before it is known how large results are.
const firstRows = 2

// newLog makes the log of a stream of f, of which a stream before may have told how large results are.
func (s *server) newLog(f *Function) *rowLog {
	l := &rowLog{limit: s.limits.StreamBytes}
	if n, ok := s.marks.sizes.Load(f.name); ok {
		l.largest, l.most = n.(int), s.limits.Streams
	}
	return l
}

// size returns about how large rows are; 0: none has come.
func (l *rowLog) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.largest
}

// take waits until a row may be taken in: most are in flight at once, and with what the log holds they come to about limit, if they are as large as those
// before. It returns false once ctx has ended.
func (l *rowLog) take(ctx context.Context, most int) bool {
	for {
		l.mu.Lock()
		if l.admits(most) {
			l.flying++
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

func (l *rowLog) admits(most int) bool {
	if l.flying == 0 {
		return l.bytes <= l.limit
	}
	return l.flying < min(most, firstRows+l.most) && l.bytes+(l.flying+1)*l.largest <= l.limit
}

// attach makes the caller the log's reader, from the row after the first received ones. It returns false if no reader was given these, or the log has let
// go of later ones.
func (l *rowLog) attach(received int) (reader int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if received < l.base || received > l.given {
		return 0, false
	}
	l.reader++
	wake(&l.news) // the reader before
	l.drop(received)
	return l.reader, true
}

// confirm says that the reader's client has the first received rows.
func (l *rowLog) confirm(reader, received int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reader == reader {
		l.drop(received)
	}
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

// next returns the rows from at on, as soon as there are any. None and no error: all have come before; its error is that of the rows that did not come,
// ctx's, or errSuperseded if another request reads.
func (l *rowLog) next(ctx context.Context, reader, at int) ([]*xmev1.StreamResponse, error) {
	for {
		l.mu.Lock()
		switch {
		case l.reader != reader:
			l.mu.Unlock()
			return nil, errSuperseded
		case at < l.base+len(l.rows):
			rows := slices.Clone(l.rows[at-l.base:])
			l.given = l.base + len(l.rows)
			l.mu.Unlock()
			return rows, nil
		case l.ended && l.rest != nil:
			l.mu.Unlock()
			return nil, l.rest
		case l.ended:
			l.mu.Unlock()
			return nil, nil
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
