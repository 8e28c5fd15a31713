package rpc_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/xmetest"
)

func TestMain(m *testing.M) {
	xme.Init()
	xmetest.Main(m)
}

// running is a server of a test.
type running struct {
	addr string
	stop func() error // ends it and waits
}

// listen listens on a loopback address.
func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// listenUnix listens on a Unix socket.
func listenUnix(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serveOn serves on l until the test ends, or stop is called.
func serveOn(t testing.TB, l net.Listener, funcs []rpc.Function, o ...rpc.ServeOption) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- rpc.Serve(ctx, l, funcs, append([]rpc.ServeOption{rpc.Plain()}, o...)...) }()
	r := &running{addr: "http://" + l.Addr().String()}
	if l.Addr().Network() == "unix" {
		r.addr = "unix:" + l.Addr().String()
	}
	stopped := false
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// dial opens a client that ends with the test.
func dial(t testing.TB, addr string, o ...rpc.DialOption) *rpc.Client {
	t.Helper()
	c, err := rpc.Dial(t.Context(), addr, append([]rpc.DialOption{rpc.Plain()}, o...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// is fails unless err is target, or nil for nil.
func is(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got %v, want %v", err, target)
	}
}
