package rpc

// HTTP1 and HTTP2 choose what a client speaks without TLS.
func HTTP1() DialOption { return dialFunc(func(o *dialOptions) { o.proto = http1 }) }
func HTTP2() DialOption { return dialFunc(func(o *dialOptions) { o.proto = http2 }) }
