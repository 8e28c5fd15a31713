package link_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

// row is a task that does what its body says.
type row struct{ cancelled chan error }

func (r *row) Spoke() bool { return false }

func (r *row) Cancel(cause error) { r.cancelled <- cause }

func (r *row) Run(f *link.Frame, dst []byte, done link.Done) {
	switch string(f.Body) {
	case "echo":
		done(wire.KindResult, append(dst, f.Body...), nil)
	case "wait":
		done(wire.KindFail, append(dst, (<-r.cancelled).Error()...), nil)
	case "goexit":
		defer done(wire.KindFail, append(dst, "ended"...), nil)
		runtime.Goexit()
	}
}

// serving runs a server on one end of a Pair; rows say what they do in their body.
func serving(t *testing.T) (driver link.Conn, ended chan error) {
	t.Helper()
	return servingUntil(t, context.Background())
}

func servingUntil(t *testing.T, ctx context.Context) (driver link.Conn, ended chan error) {
	t.Helper()
	driver, worker := link.Pair()
	ended = make(chan error, 1)
	go func() {
		ended <- link.Serve(ctx, worker, link.Side{Begin: func(*link.Frame) link.Task {
			return &row{cancelled: make(chan error, 8)}
		}})
	}()
	t.Cleanup(func() { _ = driver.Close() })
	return driver, ended
}

func send(c link.Conn, kind wire.Kind, call uint64, body string) {
	c.Send(link.Frame{Kind: kind, Call: call, Body: []byte(body)})
	c.Flush()
}

func expect(t *testing.T, c link.Conn, kind wire.Kind, call uint64, body string) {
	t.Helper()
	f, _, err := c.Recv()
	if err != nil || f.Kind != kind || f.Call != call || string(f.Body) != body {
		t.Fatalf("got %v %d %q, %v; want %v %d %q", f.Kind, f.Call, f.Body, err, kind, call, body)
	}
}

func TestServeRunsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ended := serving(t)
		for call := range uint64(5) {
			send(c, wire.KindCall, call+1, "echo")
		}
		for call := range uint64(5) {
			expect(t, c, wire.KindStart, call+1, "")
			expect(t, c, wire.KindResult, call+1, "echo")
		}
		send(c, wire.KindBye, 0, "")
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, _, err := c.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("after bye: %v", err)
		}
	})
}

// Recalls are answered while a row runs; what runs is not given back.
func TestServeGivesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ended := serving(t)
		send(c, wire.KindCall, 1, "wait")
		send(c, wire.KindCall, 2, "echo")
		send(c, wire.KindCall, 3, "echo")
		send(c, wire.KindCall, 4, "echo")
		expect(t, c, wire.KindStart, 1, "")
		send(c, wire.KindRecall, 1, "") // runs: no answer
		send(c, wire.KindRecall, 3, "")
		expect(t, c, wire.KindRecalled, 3, "")
		send(c, wire.KindCancel, 2, "") // has not begun: given back
		expect(t, c, wire.KindRecalled, 2, "")
		send(c, wire.KindCancel, 1, "") // runs: its context ends
		expect(t, c, wire.KindFail, 1, "context canceled")
		expect(t, c, wire.KindStart, 4, "")
		expect(t, c, wire.KindResult, 4, "echo")
		send(c, wire.KindCancel, 4, "") // has ended: no answer
		send(c, wire.KindBye, 0, "")
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A row that ends its goroutine ends only itself.
func TestServeSurvivesGoexit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ended := serving(t)
		send(c, wire.KindCall, 1, "goexit")
		send(c, wire.KindCall, 2, "echo")
		expect(t, c, wire.KindStart, 1, "")
		expect(t, c, wire.KindFail, 1, "ended")
		expect(t, c, wire.KindStart, 2, "")
		expect(t, c, wire.KindResult, 2, "echo")
		_ = c.Close()
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// When the driver is gone, the running row's context ends and nothing begins.
func TestServeLosesDriver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ended := serving(t)
		send(c, wire.KindCall, 1, "wait")
		send(c, wire.KindCall, 2, "wait")
		expect(t, c, wire.KindStart, 1, "")
		_ = c.Close()
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// When the server's context ends, so do the contexts of the row that runs and of
// those that follow.
func TestServeStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		c, ended := servingUntil(t, ctx)
		send(c, wire.KindCall, 1, "wait")
		send(c, wire.KindCall, 2, "wait")
		expect(t, c, wire.KindStart, 1, "")
		cancel(errors.New("stopped"))
		expect(t, c, wire.KindFail, 1, "stopped")
		expect(t, c, wire.KindStart, 2, "")
		expect(t, c, wire.KindFail, 2, "stopped")
		send(c, wire.KindBye, 0, "")
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestServeRefusesFrames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ended := serving(t)
		send(c, wire.KindReady, 0, "")
		if err := <-ended; err == nil {
			t.Error("a frame that is a worker's was accepted from the driver")
		}
	})
}
