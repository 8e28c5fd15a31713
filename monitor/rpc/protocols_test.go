package rpc_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1/xmev1connect"
	"github.com/xenonmp/xme/xmetest"
)

// feature: N3
func TestProtocols(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(echo, pool), rpc.Export(hold, pool)}, rpc.WithLimits(rpc.Limits{Linger: time.Hour}))
	for name, o := range map[string][]connecthttp.Option{
		"connect": nil, "json": {connecthttp.WithProtoJSON()}, "gzip": {connecthttp.WithSendGzip()},
		"grpc": {connecthttp.WithGRPC()}, "grpc-web": {connecthttp.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &http.Transport{Protocols: protocols(true)}
			t.Cleanup(tr.CloseIdleConnections)
			api := xmev1connect.NewMonitorClient(connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: tr}, s.addr, o...)))
			res, err := api.Call(t.Context(), &xmev1.CallRequest{Function: "echo", Args: `"é"`})
			if err != nil || res.GetResult() != `"é"` {
				t.Error(res, err)
			}
			_, err = api.Call(t.Context(), &xmev1.CallRequest{Function: "nobody"})
			if connect.CodeOf(err) != connect.CodeNotFound {
				t.Error(err)
			}
			st, err := api.Stream(t.Context(), &xmev1.StreamRequest{Function: "echo", Args: []string{`"a"`, `1`, `"c"`}})
			if err != nil {
				t.Fatal(err)
			}
			rows, failed := 0, 0
			for {
				r, err := st.Receive()
				if err != nil {
					break
				}
				rows++
				if r.GetFailure() != nil {
					failed++
				}
			}
			_ = st.Close()
			if rows != 3 || failed != 1 {
				t.Errorf("%d rows, %d failed", rows, failed)
			}

			// Without a mark a call, and a stream, end with their request.
			ctx, cancel := context.WithCancel(t.Context())
			g := gateOf(name)
			go func() { <-g.begun; cancel() }()
			if _, err = api.Call(ctx, &xmev1.CallRequest{Function: "hold", Args: `"` + name + `"`}); connect.CodeOf(err) != connect.CodeCanceled {
				t.Error(err)
			}
			if <-g.ended == nil {
				t.Error("the task's context did not end")
			}
			ctx, cancel = context.WithCancel(t.Context())
			go func() { <-g.begun; cancel() }()
			if st, err = api.Stream(ctx, &xmev1.StreamRequest{Function: "hold", Args: []string{`"` + name + `"`}}); err == nil {
				_, _ = st.Receive()
				_ = st.Close()
			}
			if <-g.ended == nil {
				t.Error("the task's context did not end")
			}
			cancel()
		})
	}
}
