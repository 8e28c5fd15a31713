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
	if n := len(req.GetArgs()); n > mostRows {
		return refuse(connect.CodeInvalidArgument, "too_large", fmt.Sprintf("%d rows are over the limit of a stream, %d", n, mostRows)).connect()
	}
	l := s.newLog(f)
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
	if l == nil { // it was cancelled before it came
		_, refused := s.marks.wait(ctx, c)
		return refused.connect()
	}
	if first {
		s.gate.hold()
		go func() {
			defer s.gate.leave()
			defer s.give()
			rest := errGoexit
			defer func() { s.marks.finish(c, nil, nil, l.end(rest)) }()
			rest = s.runRows(c.ctx, f, req.GetArgs(), l)
		}()
	}
	defer s.marks.leave(c)
	return s.sendRows(ctx, l, int(min(req.GetReceived(), mostRows+1)), true, to)
}

// mostRows bounds the rows of a stream.
const mostRows = 1 << 16

// streamOnce is a stream without a mark, which ends with its request.
func (s *server) streamOnce(ctx context.Context, f *Function, req *xmev1.StreamRequest, l *rowLog, to xmev1connect.MonitorStreamServerStream) error {
	who := requestOf(ctx).who()
	if f := s.enter(who); f != nil {
		return f.connect()
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	s.gate.hold()
	go func() {
		defer s.gate.leave()
		defer s.exit(who)
		defer close(ended)
		rest := errGoexit
		defer func() { l.end(rest) }()
		rest = s.runRows(ctx, f, req.GetArgs(), l)
	}()
	err := s.sendRows(ctx, l, 0, false, to)
	cancel()
	<-ended
	return err
}

// sendRows sends the rows of l after those received. A marked stream is ended for its client to confirm what has been sent, when that is half of what l
// may hold; not while the server drains, since the client's next request would not be taken: then what has been sent is let go, as of a stream without
// a mark.
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
			if marked && sent > l.limit/2 && s.draining.Err() == nil {
				return nil
			}
			if !marked || s.draining.Err() != nil {
				l.confirm(reader, at)
			}
		}
	}
}

func (m *marks) forgottenRows(received int) *failure {
	return refuse(connect.CodeFailedPrecondition, "forgotten", fmt.Sprintf("the stream cannot be resumed after %d rows", received))
}

// runRows adds to l what comes of f for each of args: as many rows in flight as there may be, and no more while l is full. It returns why not all have
// come; nil: they have.
func (s *server) runRows(ctx context.Context, f *Function, args []string, l *rowLog) (rest *failure) {
	var mu sync.Mutex
	there, left := make([]bool, len(args)), len(args) // whose result is
	emit := func(row int, out string, err error) {
		r := &xmev1.StreamResponse{Index: uint64(row)}
		result, failed := s.outcome(ctx, f, out, err)
		if r.Result = result; failed != nil {
			r.Failure = failed.proto()
		}
		mu.Lock()
		defer mu.Unlock()
		if there[row] {
			return
		}
		there[row] = true
		left--
		l.add(r)
	}
	defer func() {
		if v := recover(); v != nil { // of a marshaler
			s.log.Error("panic in a stream", "function", f.name, "panic", v)
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case left == 0:
		case ctx.Err() != nil:
			_, rest = s.outcome(ctx, f, "", context.Canceled)
		default:
			rest = refuse(connect.CodeInternal, "", "the stream ended before the row")
		}
	}()
	f.stream(ctx, taken(ctx, args, s.limits.Streams, l), emit)
	if n := l.size(); n > 0 {
		s.marks.sizes.Store(f.name, n)
	}
	return nil
}

// taken yields args as far as they may run.
func taken(ctx context.Context, args []string, most int, l *rowLog) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, a := range args {
			if !l.take(ctx, most) || !yield(a) {
				return
			}
		}
	}
}

// textOf makes JSON of a result. A marshaler that panics is that row's failure.
func textOf(v any) (s string, err error) {
	defer recovered(&err)
	if s, err = text(v); err != nil {
		err = fmt.Errorf("result as JSON: %w", err)
	}
	return s, err
}

// recovered makes an error of a panic.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = refuse(connect.CodeInternal, "", fmt.Sprintf("panic: %.200v", v))
	}
}
