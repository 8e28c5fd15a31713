//go:build unix

package rpc_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/xmetest"
)

// A server under Interruptible begins its end at the first Ctrl-C, which does not end the
// context: it takes no more requests, lets what runs finish, and returns.
//
// feature: N3
func TestServeUnderInterruptible(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	ctx, stop := xme.Interruptible(context.WithoutCancel(t.Context()))
	defer stop()
	l := listen(t)
	served := make(chan error, 1)
	go func() {
		served <- rpc.Serve(ctx, l, []rpc.Function{rpc.Export(hold, pool)}, rpc.Plain(), rpc.WithDrain(time.Minute))
	}()
	c := dial(t, "http://"+l.Addr().String(), rpc.HTTP2(), rpc.WithRetry(time.Millisecond))
	g, ended := held(t.Context(), t, c, "interrupt")
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	patient := limited(t)
	for { // until it takes no more
		_, err := c.List(patient)
		if errors.Is(err, rpc.ErrDraining) || errors.Is(err, rpc.ErrLost) {
			break
		}
		if err != nil {
			t.Fatal("the server goes on:", err)
		}
	}
	close(g.open)
	is(t, <-ended, nil)
	is(t, <-served, nil)
	if ctx.Err() != nil {
		t.Error("the context has ended at the first Ctrl-C")
	}
}
