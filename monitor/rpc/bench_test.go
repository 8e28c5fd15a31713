package rpc_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1/xmev1connect"
	"github.com/xenonmp/xme/xmetest"
)

// bare answers with what it is sent: the floor of a round trip.
type bare struct {
	xmev1connect.UnimplementedMonitorHandler
	on xme.Executor // nil: it calls nothing
}

func (b bare) Call(ctx context.Context, r *xmev1.CallRequest) (*xmev1.CallResponse, error) {
	if b.on == nil {
		return &xmev1.CallResponse{Result: r.GetArgs()}, nil
	}
	out, err := echo.Call(ctx, b.on, r.GetArgs())
	return &xmev1.CallResponse{Result: out}, err
}

// protocols are what a bare server and its client speak.
func protocols(h2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!h2)
	p.SetUnencryptedHTTP2(h2)
	return p
}

func floor(b *testing.B, l net.Listener, h2 bool, on xme.Executor) func(context.Context) error {
	cs := connect.NewServer()
	xmev1connect.RegisterMonitorHandler(cs, bare{on: on})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, cs)
	hs := &http.Server{Handler: mux, Protocols: protocols(h2)} //nolint:gosec // the floor
	var wg sync.WaitGroup
	wg.Go(func() { _ = hs.Serve(l) })
	addr := l.Addr()
	t := &http.Transport{Protocols: protocols(h2), MaxIdleConnsPerHost: 256, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, addr.Network(), addr.String())
	}}
	api := xmev1connect.NewMonitorClient(connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: t}, "http://localhost", connecthttp.WithCompressors())))
	b.Cleanup(func() {
		t.CloseIdleConnections()
		_ = hs.Close()
		wg.Wait()
	})
	return func(ctx context.Context) error {
		_, err := api.Call(ctx, &xmev1.CallRequest{Function: "main.echo", Args: `"hello"`})
		return err
	}
}

func called(b *testing.B, l net.Listener, on xme.Executor, o ...rpc.DialOption) func(context.Context) error {
	c := dial(b, serveOn(b, l, []rpc.Function{rpc.Export(echo, on)}).addr, o...)
	return func(ctx context.Context) error {
		_, err := rpc.Call[string, string](ctx, c, "echo", "hello")
		return err
	}
}

// BenchmarkCall compares a call with bare handlers of the same protocol on the same kind of socket, which call nothing, and the pool. "one" is a round
// trip, "64" the time of a call with 64 in flight.
func BenchmarkCall(b *testing.B) {
	pool := xmetest.Open(b, xme.Options{Workers: 2})
	for _, socket := range []struct {
		name   string
		listen func(testing.TB) net.Listener
	}{{"tcp", listen}, {"unix", listenUnix}} {
		for name, open := range map[string]func(b *testing.B) func(context.Context) error{
			"floor-h1":      func(b *testing.B) func(context.Context) error { return floor(b, socket.listen(b), false, nil) },
			"floor-h2":      func(b *testing.B) func(context.Context) error { return floor(b, socket.listen(b), true, nil) },
			"floor-h1-pool": func(b *testing.B) func(context.Context) error { return floor(b, socket.listen(b), false, pool) },
			"floor-h2-pool": func(b *testing.B) func(context.Context) error { return floor(b, socket.listen(b), true, pool) },
			"call-h1":       func(b *testing.B) func(context.Context) error { return called(b, socket.listen(b), pool, rpc.HTTP1()) },
			"call-h2":       func(b *testing.B) func(context.Context) error { return called(b, socket.listen(b), pool, rpc.HTTP2()) },
		} {
			b.Run(socket.name+"/"+name+"/one", func(b *testing.B) {
				call := open(b)
				for b.Loop() {
					if err := call(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(socket.name+"/"+name+"/64", func(b *testing.B) {
				call := open(b)
				b.ResetTimer()
				var n atomic.Int64
				var wg sync.WaitGroup
				for range 64 {
					wg.Go(func() {
						for n.Add(1) <= int64(b.N) {
							if err := call(b.Context()); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}
