package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

const (
	mostAhead = 1 << 20         // bytes of rows that have been read and not been taken
	mostHeld  = 5 * time.Second // that a response is not read, before another is asked for
	mostTaken = 8               // how often a stream is taken back
)

var errHeld = errors.New("rpc: a response was not read")

// reading reads the rows of a stream ahead of the loop over it. A request for the stream is open as long as rows are to come, however long the loop takes:
// so the server knows that its client is there.
type reading struct {
	c     *Client
	name  string
	args  []string
	held  time.Duration
	there []bool // rows that have come
	back  int    // how often the stream was taken back
	count int    // of there
	err   error  // when it has ended: why rows have not come

	mu    sync.Mutex
	list  []*xmev1.StreamResponse // that the loop has not been given
	bytes int                     // that it has not taken
	news  chan struct{}           // has a token when there may be more in list
	room  chan struct{}           // has one when bytes may be less
	ended chan struct{}           // closed
}

func newReading(c *Client, name string, args []string) *reading {
	return &reading{
		c: c, name: name, args: args, held: mostHeld, there: make([]bool, len(args)),
		news: make(chan struct{}, 1), room: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// next returns the rows that have come, as soon as there are any. None: it has ended.
func (r *reading) next() []*xmev1.StreamResponse {
	for over := false; ; {
		r.mu.Lock()
		list := r.list
		r.list = nil
		r.mu.Unlock()
		if len(list) > 0 || over {
			return list
		}
		select {
		case <-r.news:
		case <-r.ended:
			over = true
		}
	}
}

// taken says that the loop is done with a row.
func (r *reading) taken(row *xmev1.StreamResponse) {
	r.mu.Lock()
	r.bytes -= rowBytes(row)
	r.mu.Unlock()
	signal(r.room)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run reads until all rows have come, or no more will.
func (r *reading) run(ctx context.Context) {
	defer close(r.ended)
	size := 0
	for _, a := range r.args {
		size += len(a) + 8
	}
	r.err = r.c.marked(ctx, r.name, size, func(k *xmev1.Mark) (note, error) { return r.attempt(ctx, k) })
}

// attempt asks for rows until one of its requests fails.
func (r *reading) attempt(ctx context.Context, k *xmev1.Mark) (note, error) {
	var came note
	for r.count < len(r.args) {
		req := &xmev1.StreamRequest{Function: r.name, Mark: k, Received: uint64(r.count)}
		if r.count == 0 {
			req.Args = r.args
		}
		before := r.count
		err := r.segment(ctx, req)
		if r.count > before {
			came = progress
		}
		switch {
		case errors.Is(err, errHeld):
		case reasonOf(err) == "superseded" && r.back < mostTaken: // by a request of this stream that was late
			r.back++
			came = progress
		case err == nil && r.count == before:
			return came, io.ErrUnexpectedEOF
		case err != nil:
			return came, err
		}
	}
	return 0, nil
}

// segment takes rows from one response.
func (r *reading) segment(ctx context.Context, req *xmev1.StreamRequest) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := r.c.api.Stream(ctx, req)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	for {
		if err := r.wait(ctx); err != nil {
			return err
		}
		row, err := s.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.add(row); err != nil {
			return err
		}
	}
}

// wait waits until the loop has taken so much that more may be read. If that takes long it fails with errHeld: a server ends a response that is not read.
func (r *reading) wait(ctx context.Context) error {
	var long <-chan time.Time
	for {
		r.mu.Lock()
		free := r.bytes < mostAhead
		r.mu.Unlock()
		if free {
			return nil
		}
		if long == nil {
			t := time.NewTimer(r.held)
			defer t.Stop()
			long = t.C
		}
		select {
		case <-r.room:
		case <-long:
			return errHeld
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *reading) add(row *xmev1.StreamResponse) error {
	i := row.GetIndex()
	if i >= uint64(len(r.args)) || r.there[i] {
		return &Error{Code: "internal", Function: r.name, Message: fmt.Sprintf("the server sent row %d, which it must not", i)}
	}
	r.there[i] = true
	r.count++
	r.mu.Lock()
	r.list = append(r.list, row)
	r.bytes += rowBytes(row)
	r.mu.Unlock()
	signal(r.news)
	return nil
}
