package rpc

import (
	"context"
	"net"
	"net/http"
)

// HTTP1 and HTTP2 choose what a client speaks without TLS.
func HTTP1() DialOption { return dialFunc(func(o *dialOptions) { o.proto = http1 }) }
func HTTP2() DialOption { return dialFunc(func(o *dialOptions) { o.proto = http2 }) }

// Handler returns a server's handler, and a check that nothing is under way in it.
func Handler(funcs []Function, o ...ServeOption) (h http.Handler, idle func() bool, err error) {
	s, err := newServer(context.Background(), &net.UnixAddr{}, funcs, o)
	if err != nil {
		return nil, nil, err
	}
	return s, func() bool { return s.calls.Load() == 0 }, nil
}
