package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	netrpc "net/rpc"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
)

func listen(ctx context.Context) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
}

// connectPeer is a handler of connect-go with nothing around it.
func connectPeer(http2 bool) func(context.Context) (func(context.Context) (string, error), func(), error) {
	return func(ctx context.Context) (func(context.Context) (string, error), func(), error) {
		l, err := listen(ctx)
		if err != nil {
			return nil, nil, err
		}
		spec := connect.Spec{StreamType: connect.StreamTypeUnary, Procedure: "/bench.Echo/Echo"}
		server := connect.NewServer()
		server.Register(connect.Method{Spec: spec, Handler: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
			var in wrapperspb.StringValue
			if err := stream.Receive(&in); err != nil {
				return err
			}
			return stream.Send(&in)
		}})
		mux := http.NewServeMux()
		connecthttp.Mount(mux, server)
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(http2)
		protocols.SetHTTP1(!http2)
		hs := &http.Server{Handler: mux, Protocols: protocols, ReadHeaderTimeout: time.Minute}
		var serving sync.WaitGroup
		serving.Go(func() { _ = hs.Serve(l) })
		t := &http.Transport{Protocols: protocols, MaxIdleConnsPerHost: 64}
		client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: t}, "http://"+l.Addr().String(), connecthttp.WithCompressors()))
		call := func(ctx context.Context) (string, error) {
			var out wrapperspb.StringValue
			err := client.CallUnary(ctx, spec, wrapperspb.String(letter), &out)
			return out.GetValue(), err
		}
		return call, func() {
			t.CloseIdleConnections()
			_ = hs.Close()
			serving.Wait()
		}, nil
	}
}

// grpcPeer is a handler of grpc-go.
func grpcPeer(ctx context.Context) (func(context.Context) (string, error), func(), error) {
	l, err := listen(ctx)
	if err != nil {
		return nil, nil, err
	}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "bench.Echo", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Echo",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var in wrapperspb.StringValue
			err := decode(&in)
			return &in, err
		},
	}}}, nil)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	client, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		server.Stop()
		return nil, nil, err
	}
	call := func(ctx context.Context) (string, error) {
		var out wrapperspb.StringValue
		err := client.Invoke(ctx, "/bench.Echo/Echo", wrapperspb.String(letter), &out)
		return out.GetValue(), err
	}
	return call, func() {
		_ = client.Close()
		server.Stop()
		serving.Wait()
	}, nil
}

// Echo is net/rpc's receiver.
type Echo struct{}

// Send sends back what it gets.
func (Echo) Send(in string, out *string) error {
	*out = in
	return nil
}

func netPeer(ctx context.Context) (func(context.Context) (string, error), func(), error) {
	l, err := listen(ctx)
	if err != nil {
		return nil, nil, err
	}
	server := netrpc.NewServer()
	if err := server.Register(Echo{}); err != nil {
		return nil, nil, err
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		conn, err := l.Accept()
		if err == nil {
			server.ServeConn(conn)
		}
	})
	client, err := netrpc.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	call := func(context.Context) (string, error) {
		var out string
		err := client.Call("Echo.Send", letter, &out)
		return out, err
	}
	return call, func() {
		_ = client.Close()
		_ = l.Close()
		serving.Wait()
	}, nil
}

var send = xme.Register("send", func(_ context.Context, s string) (string, error) { return s, nil })

// xmePeer serves a function on an executor.
func xmePeer(on xme.Executor) func(context.Context) (func(context.Context) (string, error), func(), error) {
	return func(ctx context.Context) (func(context.Context) (string, error), func(), error) {
		l, err := listen(ctx)
		if err != nil {
			return nil, nil, err
		}
		serving, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- rpc.Serve(serving, l, []rpc.Function{rpc.Export(send, on)}, rpc.Plain()) }()
		c, err := rpc.Dial(ctx, "http://"+l.Addr().String(), rpc.Plain())
		if err != nil {
			stop()
			return nil, nil, errors.Join(err, <-ended)
		}
		call := func(ctx context.Context) (string, error) { return rpc.CallFunc(ctx, c, send, letter) }
		return call, func() {
			_ = c.Close()
			stop()
			_ = <-ended
		}, nil
	}
}
