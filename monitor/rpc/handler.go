package rpc

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

// Hello implements the service.
func (s *server) Hello(ctx context.Context, _ *xmev1.HelloRequest) (*xmev1.HelloResponse, error) {
	id, f := s.marks.open(requestOf(ctx).caller.Name)
	if f != nil {
		return nil, f.connect()
	}
	return &xmev1.HelloResponse{Life: s.marks.life, Session: id, MaxMessage: int64(s.limits.Message), MaxCalls: int64(s.limits.Calls)}, nil
}

// List implements the service.
func (s *server) List(ctx context.Context, _ *xmev1.ListRequest) (*xmev1.ListResponse, error) {
	res := &xmev1.ListResponse{}
	for _, f := range s.funcs.infos {
		if s.access.may(ctx, requestOf(ctx).caller, f.Name) == nil {
			res.Functions = append(res.Functions, &xmev1.Function{Name: f.Name, Input: f.Input, Output: f.Output})
		}
	}
	return res, nil
}

// Call implements the service.
func (s *server) Call(ctx context.Context, req *xmev1.CallRequest) (*xmev1.CallResponse, error) {
	f, refused := s.function(ctx, req.GetFunction())
	if refused != nil {
		return nil, refused.connect()
	}
	run := func(ctx context.Context) (any, int, *failure) {
		out, f := s.run(ctx, f, req.GetArgs())
		return out, len(out), f
	}
	out, failed := s.once(ctx, req.GetMark(), func() uint64 { return s.sum(f.name, req.GetArgs()) }, run)
	if failed != nil {
		return nil, failed.connect()
	}
	return &xmev1.CallResponse{Result: out.(string)}, nil
}

// Cancel implements the service.
func (s *server) Cancel(ctx context.Context, req *xmev1.CancelRequest) (*xmev1.CancelResponse, error) {
	if f := s.marks.cancel(req.GetMark(), requestOf(ctx).caller.Name); f != nil {
		return nil, f.connect()
	}
	return &xmev1.CancelResponse{}, nil
}

// function finds what is to be called, and whether the caller may.
func (s *server) function(ctx context.Context, name string) (*Function, *failure) {
	f := s.funcs.byName[name]
	full := name
	if f != nil {
		full = f.name
	}
	if err := s.access.may(ctx, requestOf(ctx).caller, full); err != nil {
		return nil, refuse(connect.CodePermissionDenied, "not_allowed", err.Error())
	}
	if f == nil {
		return nil, refuse(connect.CodeNotFound, "unknown_function", fmt.Sprintf("no function %.200q is exported", name))
	}
	return f, nil
}

// take takes one of the calls that may be in flight.
func (s *server) take() *failure {
	if n := s.calls.Add(1); n > int64(s.limits.Calls) {
		s.calls.Add(-1)
		return refuse(connect.CodeResourceExhausted, "busy", fmt.Sprintf("busy: %d calls in flight, the limit; try again later", s.limits.Calls))
	}
	return nil
}

func (s *server) give() { s.calls.Add(-1) }

// enter takes one of the calls in flight for who calls without a mark; exit gives it back.
func (s *server) enter(who string) *failure {
	f := s.marks.enter(who)
	if f == nil {
		if f = s.take(); f != nil {
			s.marks.exit(who)
		}
	}
	return f
}

func (s *server) exit(who string) {
	s.give()
	s.marks.exit(who)
}

// who tells callers apart: by name, or else by host.
func (r request) who() string {
	if r.caller.Name != "" || r.http == nil {
		return r.caller.Name
	}
	host, _, _ := net.SplitHostPort(r.http.RemoteAddr)
	return "\x00" + host // is no name
}

// once runs what a request asks for, or, if it has a mark, sees to it that it has been run. Both take one of the calls in flight. run returns the
// outcome and how many bytes it takes.
func (s *server) once(ctx context.Context, k *xmev1.Mark, sum func() uint64, run func(context.Context) (any, int, *failure)) (any, *failure) {
	if k == nil {
		who := requestOf(ctx).who()
		if f := s.enter(who); f != nil {
			return nil, f
		}
		defer s.exit(who)
		out, _, f := run(ctx)
		return out, f
	}
	c, _, first, f := s.marks.begin(k, requestOf(ctx).caller.Name, sum(), until(ctx), nil, false, s.take)
	if f != nil {
		return nil, f
	}
	if !first {
		return s.marks.wait(ctx, c)
	}
	var out any
	size, f := 0, errGoexit
	defer func() {
		s.give()
		if f != nil {
			size = f.size()
		}
		s.marks.finish(c, out, f, size)
	}()
	conn := requestOf(ctx).conn
	stop := context.AfterFunc(ctx, func() { s.left(conn, c) })
	defer stop()
	out, size, f = run(c.ctx)
	return out, f
}

var errGoexit = refuse(connect.CodeInternal, "", "the call ended its goroutine")

// left is called when the request that runs c has ended before it.
func (s *server) left(conn net.Conn, c *marked) {
	s.marks.leave(c)
	if conn != nil {
		_ = conn.Close() // the HTTP server would only when the call has ended
	}
}

// run runs a function under ctx.
func (s *server) run(ctx context.Context, f *Function, args string) (out string, failed *failure) {
	defer func() {
		if v := recover(); v != nil { // of a marshaler; a function's own is its error
			s.log.Error("panic in a call", "function", f.name, "panic", v)
			out, failed = "", refuse(connect.CodeInternal, "", fmt.Sprintf("panic: %.200v", v))
		}
	}()
	out, err := f.call(ctx, args)
	return s.outcome(ctx, f, out, err)
}

// outcome is what is told of a call's end.
func (s *server) outcome(ctx context.Context, f *Function, out string, err error) (string, *failure) {
	if err == nil && len(out) > s.limits.Message {
		return "", refuse(connect.CodeResourceExhausted, "too_large", fmt.Sprintf("a result of %d bytes is over the limit, %d", len(out), s.limits.Message))
	}
	if err == nil {
		return out, nil
	}
	failed := failureOf(err)
	if failed.code == connect.CodeCanceled && ctx.Err() != nil { // why
		why := context.Cause(ctx)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			why = ctx.Err()
		}
		if w := failureOf(why); w.code != connect.CodeCanceled || w == errLinger || w == errCancel {
			failed = &failure{code: w.code, message: w.message, err: failed.err}
		}
	}
	s.tell(f, failed, err)
	if failed.err != nil && f.public {
		failed.err.Func = f.name
	}
	return "", failed
}

// tell logs a failure.
func (s *server) tell(f *Function, failed *failure, err error) {
	level := slog.LevelDebug
	switch failed.code {
	case connect.CodeAborted, connect.CodeInternal, connect.CodeUnavailable, connect.CodeUnimplemented, connect.CodeResourceExhausted:
		level = slog.LevelWarn
	default:
	}
	if !s.log.Enabled(context.Background(), level) {
		return
	}
	attr := slog.String("err", err.Error())
	if e, ok := errors.AsType[*xme.Error](err); ok {
		attr = slog.Any("err", e)
	}
	s.log.LogAttrs(context.Background(), level, "call failed", slog.String("function", f.name), slog.String("code", failed.code.String()), attr)
}

// sum tells calls apart; it is never 0.
func (s *server) sum(function string, args ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.WriteString(function)
	for _, a := range args {
		_ = h.WriteByte(0xff) // is in no UTF-8
		_, _ = h.WriteString(a)
	}
	return h.Sum64() | 1
}

// until returns when ctx ends; zero: never.
func until(ctx context.Context) time.Time {
	t, _ := ctx.Deadline()
	return t
}
