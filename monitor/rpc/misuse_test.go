package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
	"github.com/xenonmp/xme/monitor/rpc"
)

// Zero values of this package are told as such.
func TestZeroValues(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l := listen(t)
	defer l.Close()
	if _, err := rpc.Dial(ctx, "https://"+l.Addr().String(), rpc.WithTLS(&rpc.TLS{})); err == nil || !strings.Contains(err.Error(), "LoadTLS") {
		t.Errorf("zero TLS: %v", err)
	}
	if err := rpc.Serve(ctx, l, nil, rpc.Plain(), rpc.WithTokens(&rpc.Tokens{})); err == nil || !strings.Contains(err.Error(), "LoadTokens") {
		t.Errorf("zero Tokens: %v", err)
	}
	for name, c := range map[string]*rpc.Client{"zero": {}, "nil": nil} {
		if _, err := rpc.Call[int, int](ctx, c, "f", 1); !errors.Is(err, rpc.ErrClosed) || !strings.Contains(err.Error(), "Dial") {
			t.Errorf("%s: Call: %v", name, err)
		}
		if _, err := c.List(ctx); !errors.Is(err, rpc.ErrClosed) {
			t.Errorf("%s: List: %v", name, err)
		}
		if _, err := c.Messages(ctx); !errors.Is(err, rpc.ErrClosed) {
			t.Errorf("%s: Messages: %v", name, err)
		}
		for _, err := range c.Subscribe(ctx) {
			if !errors.Is(err, rpc.ErrClosed) {
				t.Errorf("%s: Subscribe: %v", name, err)
			}
		}
		is(t, c.Close(), nil)
	}
	l = listen(t)
	defer l.Close()
	if err := rpc.Serve(ctx, l, nil, rpc.Plain(), rpc.WithLimits(rpc.Limits{StreamBytes: 64 << 20})); err == nil || !strings.Contains(err.Error(), "Kept") {
		t.Errorf("streams that cannot be kept: %v", err)
	}
}

// Keys are told whole, however long they are; nothing sealed is no message; a message that has no JSON is told by its kind.
func TestMessagesAtTheEdges(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	man, err := manager.Open(ctx, manager.Options{})
	is(t, err, nil)
	defer man.Close()
	m := monitor.New(monitor.Options{Manager: man})
	c := dial(t, serveOn(t, listen(t), nil, rpc.WithMonitor(m)).addr)
	a, b := strings.Repeat("k", 20000)+"a", strings.Repeat("k", 20000)+"b"
	is(t, monitor.Set(ctx, m, a, 1), nil)
	is(t, monitor.Set(ctx, m, b, 2), nil)
	all, err := c.Messages(ctx)
	is(t, err, nil)
	if len(all) != 2 || string(all[a].JSON) != "1" || string(all[b].JSON) != "2" {
		t.Errorf("%d messages", len(all))
	}
	is(t, c.Push(ctx, nil), monitor.ErrMalformed)
	is(t, manager.Set(ctx, man.Messages(), "bare", struct{ Text string }{strings.Repeat("x", 1<<20)}), nil)
	_, err = c.Messages(ctx, "bare")
	is(t, err, monitor.ErrType)
}

// A context that ends between two attempts is found in the error as one that ends within, whatever its cause.
func TestContextEndsBetweenAttempts(t *testing.T) {
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(square, xme.Inline())})
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	c := dial(t, s.addr, rpc.WithLogger(slog.New(hook{func() { cancel(enough) }})))
	is(t, s.stop(), nil)
	_, err := rpc.Call[int, int](ctx, c, "square", 7)
	if !errors.Is(err, enough) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// hook is a handler of logs that calls a function.
type hook struct{ f func() }

func (h hook) Enabled(context.Context, slog.Level) bool  { return true }
func (h hook) Handle(context.Context, slog.Record) error { h.f(); return nil }
func (h hook) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h hook) WithGroup(string) slog.Handler             { return h }
