package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"connectrpc.com/connect/v2"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1/xmev1connect"
)

// Stream implements the service.
func (s *server) Stream(ctx context.Context, req *xmev1.StreamRequest, to xmev1connect.MonitorStreamServerStream) error {
	f, refused := s.function(ctx, req.GetFunction())
	if refused != nil {
		return refused.connect()
	}
	l := &rowLog{limit: s.limits.StreamBytes}
	if req.GetMark() == nil {
		if req.GetReceived() > 0 {
			return refuse(connect.CodeInvalidArgument, "mark", "only a stream with a mark can be resumed").connect()
		}
		return s.streamOnce(ctx, f, req, l, to)
	}
	more := req.GetReceived() > 0
	c, l, first, refused := s.marks.begin(req.GetMark(), requestOf(ctx).caller.Name, s.sum(f.name, req.GetArgs()...), until(ctx), l, more, s.take)
	if refused != nil {
		return refused.connect()
	}
	if first {
		s.gate.hold()
		stop := func() bool { return true }
		if end := until(ctx); !end.IsZero() {
			stop = s.marks.after(end.Sub(s.marks.now()), func() { c.cancel(context.DeadlineExceeded) })
		}
		go func() {
			defer s.gate.leave()
			defer s.give()
			defer func() {
				stop()
				s.marks.finish(c, nil, nil, l.end())
			}()
			s.runRows(c.ctx, f, req.GetArgs(), l)
		}()
	}
	defer s.marks.leave(c)
	received := req.GetReceived()
	if received > uint64(mostRows) {
		received = mostRows
	}
	return s.sendRows(ctx, l, int(received), true, to)
}

const mostRows = 1 << 30

// streamOnce is a stream without a mark, which ends with its request.
func (s *server) streamOnce(ctx context.Context, f *Function, req *xmev1.StreamRequest, l *rowLog, to xmev1connect.MonitorStreamServerStream) error {
	if f := s.take(); f != nil {
		return f.connect()
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	s.gate.hold()
	go func() {
		defer s.gate.leave()
		defer s.give()
		defer close(ended)
		defer l.end()
		s.runRows(ctx, f, req.GetArgs(), l)
	}()
	err := s.sendRows(ctx, l, 0, false, to)
	cancel()
	<-ended
	return err
}

// sendRows sends the rows of l after those received. A marked stream is ended for its client to confirm what has been sent, when that is half of what l
// may hold.
func (s *server) sendRows(ctx context.Context, l *rowLog, received int, marked bool, to xmev1connect.MonitorStreamServerStream) error {
	reader, ok := l.attach(received)
	if !ok {
		return s.marks.forgottenRows(received).connect()
	}
	if err := to.SendHeaders(); err != nil { // the client knows that it has been taken in
		return err
	}
	at, sent := received, 0
	for {
		rows, err := l.next(ctx, reader, at)
		switch {
		case errors.Is(err, errSuperseded):
			return refuse(connect.CodeAborted, "superseded", "another request reads the stream now").connect()
		case err != nil:
			return failureOf(err).connect()
		case len(rows) == 0:
			return nil
		}
		for _, r := range rows {
			if err := to.Send(r); err != nil {
				return err
			}
			at++
			sent += rowBytes(r)
			if marked && sent > l.limit/2 {
				return nil
			}
		}
		if !marked {
			l.confirm(at)
		}
	}
}

func (m *marks) forgottenRows(received int) *failure {
	return refuse(connect.CodeFailedPrecondition, "forgotten", fmt.Sprintf("the stream cannot be resumed after %d rows", received))
}

// runRows adds to l what comes of f for each of args: as many rows in flight as there may be, and no more while l is full.
func (s *server) runRows(ctx context.Context, f *Function, args []string, l *rowLog) {
	turns := make(chan struct{}, s.limits.Streams)
	var mu sync.Mutex
	there := make([]bool, len(args)) // whose result is
	emit := func(row int, out string, err error) {
		r := &xmev1.StreamResponse{Index: uint64(row)}
		result, failed := s.outcome(ctx, f, out, err)
		if r.Result = result; failed != nil {
			r.Failure = failed.proto()
		}
		mu.Lock()
		again := there[row]
		there[row] = true
		mu.Unlock()
		if again {
			return
		}
		l.add(r)
		<-turns
	}
	defer func() {
		if v := recover(); v != nil { // of a marshaler
			s.log.Error("panic in a stream", "function", f.name, "panic", v)
		}
		left := refuse(connect.CodeInternal, "", "the stream ended before the row")
		if ctx.Err() != nil {
			_, left = s.outcome(ctx, f, "", context.Canceled)
		}
		told := left.proto()
		mu.Lock()
		defer mu.Unlock()
		for row, done := range there {
			if !done {
				there[row] = true
				l.add(&xmev1.StreamResponse{Index: uint64(row), Failure: told})
			}
		}
	}()
	f.stream(ctx, taken(ctx, args, turns, l), emit)
}

// taken yields args as far as they may run.
func taken(ctx context.Context, args []string, turns chan struct{}, l *rowLog) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, a := range args {
			if !l.full(ctx) {
				return
			}
			select {
			case turns <- struct{}{}:
			case <-ctx.Done():
				return
			}
			if !yield(a) {
				return
			}
		}
	}
}
