package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/xmetest"
)

// held starts a call of hold and returns its gate and where its error comes.
func held(ctx context.Context, t *testing.T, c *rpc.Client, name string) (*gate, chan error) {
	t.Helper()
	g, ended := gateOf(name), make(chan error, 1)
	go func() {
		_, err := rpc.Call[string, string](ctx, c, "hold", name)
		ended <- err
	}()
	<-g.begun
	return g, ended
}

// feature: N3
func TestBusy(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 4})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)}, rpc.WithLimits(rpc.Limits{Calls: 2, CallsPerSession: 1}))
	a, b, c := dial(t, s.addr), dial(t, s.addr), dial(t, s.addr)
	g, ended := held(t.Context(), t, a, "busy")
	_, err := rpc.Call[string, string](t.Context(), a, "hold", "busy")
	is(t, err, rpc.ErrBusy)
	_, more := held(t.Context(), t, b, "busy")
	_, err = rpc.Call[string, string](t.Context(), c, "hold", "busy")
	is(t, err, rpc.ErrBusy)
	for r := range rpc.Stream[string, string](t.Context(), c, "hold", []string{"busy"}) {
		is(t, r.Err, rpc.ErrBusy)
	}
	close(g.open)
	is(t, <-ended, nil)
	is(t, <-more, nil)
	_, err = rpc.Call[string, string](t.Context(), c, "hold", "busy")
	is(t, err, nil)
}

// feature: N3
func TestCancel(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)}, rpc.WithLimits(rpc.Limits{Linger: time.Hour}))
	for name, o := range map[string]rpc.DialOption{"cancel h1": rpc.HTTP1(), "cancel h2": rpc.HTTP2()} {
		c := dial(t, s.addr, o)
		ctx, cancel := context.WithCancelCause(t.Context())
		g, ended := held(ctx, t, c, name)
		why := errors.New("no more")
		cancel(why)
		err := <-ended
		is(t, err, context.Canceled)
		is(t, err, why)
		if <-g.ended == nil {
			t.Error("the task's context did not end")
		}

		ctx, stop := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer stop()
		g, ended = held(ctx, t, c, name+" deadline")
		is(t, <-ended, context.DeadlineExceeded)
		g.cancelled(t)

		ctx, stop = context.WithCancel(t.Context())
		defer stop()
		g = gateOf(name + " stream")
		go func() { <-g.begun; stop() }()
		n := 0
		for r := range rpc.Stream[string, string](ctx, c, "hold", []string{name + " stream", name + " stream", name + " stream"}) {
			is(t, r.Err, context.Canceled)
			n++
		}
		if n != 3 {
			t.Errorf("%d rows of a cancelled stream", n)
		}
		g.cancelled(t)
	}
}

func TestLeaveStream(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 3})
	c := dial(t, serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)}, rpc.WithLimits(rpc.Limits{Linger: time.Hour})).addr)
	close(gateOf("left a").open)
	g := gateOf("left b")
	for range rpc.Stream[string, string](t.Context(), c, "hold", []string{"left a", "left b"}) {
		<-g.begun // a row that has not begun never would
		break
	}
	g.cancelled(t)
}

// feature: N3
func TestLinger(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	l := listen(t)
	serveOn(t, l, []rpc.Function{rpc.Export(hold, pool)}, rpc.WithLimits(rpc.Limits{Linger: 20 * time.Millisecond}))
	p := newProxy(t, l.Addr().String(), 1, 0)
	c := dial(t, p.addr(), rpc.WithRetry(50*time.Millisecond))
	g, ended := held(t.Context(), t, c, "linger")
	_ = p.l.Close()
	p.cut()
	g.cancelled(t)
	is(t, <-ended, rpc.ErrLost)
}

// feature: N3
func TestClose(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)}, rpc.WithLimits(rpc.Limits{Linger: time.Hour}))
	c := dial(t, s.addr)
	g, ended := held(t.Context(), t, c, "close")
	_ = c.Close()
	is(t, <-ended, rpc.ErrClosed)
	g.cancelled(t)
	_, err := rpc.Call[string, string](t.Context(), c, "hold", "close")
	is(t, err, rpc.ErrClosed)
}

// feature: N3
func TestDrain(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)})
	c := dial(t, s.addr, rpc.HTTP2(), rpc.WithRetry(time.Millisecond))
	g, ended := held(t.Context(), t, c, "drain")
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	for { // until it takes no more
		_, err := c.List(t.Context())
		if errors.Is(err, rpc.ErrDraining) || errors.Is(err, rpc.ErrLost) {
			break
		}
	}
	close(g.open)
	is(t, <-ended, nil)
	is(t, <-stopped, nil)

	s = serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)}, rpc.WithDrain(time.Millisecond))
	c = dial(t, s.addr, rpc.WithRetry(time.Millisecond))
	g, ended = held(t.Context(), t, c, "drain late")
	is(t, s.stop(), nil)
	g.cancelled(t)
	if err := <-ended; err == nil {
		t.Error("a call outlived its server")
	}
}

// feature: N3
func TestRestart(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	funcs := []rpc.Function{rpc.Export(hold, pool), rpc.Export(count, pool)}
	l := listen(t)
	s := serveOn(t, l, funcs, rpc.WithDrain(-1))
	c := dial(t, s.addr)
	g, ended := held(t.Context(), t, c, "restart")
	is(t, s.stop(), nil)
	g.cancelled(t)
	again, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Skip(err)
	}
	s = serveOn(t, again, funcs)
	if err := <-ended; !errors.Is(err, rpc.ErrRestarted) && !errors.Is(err, context.Canceled) {
		var e *rpc.Error
		if !errors.As(err, &e) || e.Code != "unavailable" { // the old server may have told how it ended
			t.Error(err)
		}
	}
	for range 2 { // what has not been sent before finds its way to the new life
		_, err = rpc.Call[string, string](t.Context(), c, "count", "restarted")
		is(t, err, nil)
	}
	if n := ran("restarted"); n != 2 {
		t.Error(n)
	}
	_ = s
}

// feature: N3
func TestCrash(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	c := dial(t, serveOn(t, listen(t), []rpc.Function{rpc.Export(fail, pool), rpc.Export(echo, pool)}).addr)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			_, err := rpc.Call[string, string](t.Context(), c, "fail", []string{"exit", "kill"}[i%2])
			if !errors.Is(err, xme.ErrWorkerLost) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	out, err := rpc.Call[string, string](t.Context(), c, "echo", "alive")
	if err != nil || out != "alive" {
		t.Error(out, err)
	}
	for r := range rpc.Stream[string, string](t.Context(), c, "fail", []string{"a", "exit", "own", "b"}) {
		want := map[int]error{1: xme.ErrWorkerLost, 2: errOwn}[r.Index]
		if !errors.Is(r.Err, want) || want == nil && r.Err != nil {
			t.Errorf("row %d: %v", r.Index, r.Err)
		}
	}
}

func TestForgotten(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(count, pool)}, rpc.WithLimits(rpc.Limits{Sessions: 1}))
	a := dial(t, s.addr)
	b := dial(t, s.addr) // its session makes that of a forgotten
	for i := range 4 {
		for _, c := range []*rpc.Client{a, b} {
			if _, err := rpc.Call[string, string](t.Context(), c, "count", fmt.Sprint("forgotten", i)); err != nil {
				t.Fatal(err)
			}
		}
		if n := ran(fmt.Sprint("forgotten", i)); n != 2 {
			t.Error(n)
		}
	}
}

// TestStraggler has a call that lasts beside many that do not: they are not kept for its sake.
func TestStraggler(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool), rpc.Export(count, pool)}, rpc.WithLimits(rpc.Limits{Kept: 100 << 10}))
	c := dial(t, s.addr)
	g, ended := held(t.Context(), t, c, "straggler")
	for range 3000 {
		if _, err := rpc.Call[string, string](t.Context(), c, "count", "beside"); err != nil {
			t.Fatal(err)
		}
	}
	_, more := held(t.Context(), t, c, "straggler")
	close(g.open)
	is(t, <-ended, nil)
	is(t, <-more, nil)
	if n := ran("beside"); n != 3000 {
		t.Error(n)
	}
}
