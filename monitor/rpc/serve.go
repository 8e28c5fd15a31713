package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/xenonmp/xme/internal/drain"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1/xmev1connect"
)

// server is what Serve runs.
type server struct {
	xmev1connect.UnimplementedMonitorHandler
	serveOptions

	funcs *functions
	marks *marks
	seed  maphash.Seed
	calls atomic.Int64 // in flight
	gate  *gate

	draining  context.Context //nolint:containedctx // ends when no more requests are taken
	drainNow  context.CancelFunc
	hosts     bool        // only requests to hosts of this machine are taken
	tlsConfig *tls.Config // nil: none
	refusal   *connecthttp.ErrorWriter
	mux       routes

	arriving budget
	refusals quiet
	broken   atomic.Pointer[string] // what was logged last of files that cannot be read

	mu  sync.Mutex
	new map[net.Conn]struct{} // connections without a request so far
}

// Serve serves funcs on l, over TLS or [Plain], until ctx ends or, under xme.Interruptible, until
// the first Ctrl-C. It takes over l. At the end it accepts no more requests, lets the calls it has
// accepted finish for as long as [WithDrain] says, closes all connections and returns nil. A
// non-nil error says why it could not begin, or that l failed.
//
// Connections use HTTP/2 or HTTP/1.1, and requests the Connect, gRPC or gRPC-Web protocol;
// docs/rpc.md describes them for other languages.
func Serve(ctx context.Context, l net.Listener, funcs []Function, o ...ServeOption) error {
	if l == nil {
		return errors.New("rpc: Serve on no listener")
	}
	defer func() { _ = l.Close() }()
	base, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	s, err := newServer(base, l.Addr(), funcs, o)
	if err != nil {
		return err
	}
	hs := s.http(base)
	failed := make(chan error, 1)
	counted := &limited{Listener: l, most: int64(s.limits.Conns), refused: func() { s.refusals.warn(s.log, "connection closed: the limit is reached", "limit", s.limits.Conns) }}
	go func() {
		if s.tls != nil {
			failed <- hs.ServeTLS(counted, "", "")
		} else {
			failed <- hs.Serve(counted)
		}
	}()
	var drained <-chan struct{}
	if d := drain.Of(ctx); d != nil {
		drained = d.Done()
	}
	select {
	case <-drained:
	case <-ctx.Done():
	case err := <-failed:
		s.drain = 0
		s.end(hs, end)
		return fmt.Errorf("rpc: %w", err)
	}
	s.end(hs, end)
	s.log.Debug("served", "end", <-failed)
	return nil
}

// newServer makes a server of which nothing runs.
func newServer(base context.Context, at net.Addr, funcs []Function, o []ServeOption) (*server, error) {
	s := &server{
		serveOptions: serveOptions{drain: 10 * time.Second}, seed: maphash.MakeSeed(), gate: newGate(),
		new: map[net.Conn]struct{}{}, mux: routes{},
	}
	for _, set := range o {
		set.serve(&s.serveOptions)
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.limits.check(); err != nil {
		return nil, err
	}
	s.limits = s.limits.withDefaults()
	s.arriving.left.Store(int64(max(s.limits.Pending, s.limits.Message+slack)))
	switch {
	case s.plain && s.tls != nil:
		return nil, errors.New("rpc: Plain and WithTLS exclude each other")
	case s.plain && !loopback(at):
		return nil, fmt.Errorf("rpc: Plain serves on loopback addresses and Unix sockets only, not on %v: use WithTLS", at)
	case !s.plain && s.tls == nil:
		return nil, errors.New("rpc: Serve needs WithTLS, or Plain for this machine only")
	}
	if s.tls != nil {
		config, err := s.tls.serverConfig()
		if err == nil {
			err = s.access.check(s.tls)
		}
		if err != nil {
			return nil, err
		}
		s.tlsConfig = config
	}
	if s.access.known && s.access.tokens == nil {
		return nil, errors.New("rpc: WithTokens was given no tokens: look at the error of LoadTokens")
	}
	if s.access.tokens != nil && !s.access.tokens.file.made() {
		return nil, errors.New("rpc: WithTokens was given zero Tokens: make them by LoadTokens")
	}
	_, unix := at.(*net.UnixAddr)
	s.hosts = s.plain && !unix
	var err error
	if s.funcs, err = newFunctions(funcs); err == nil {
		err = s.access.resolve(s.funcs)
	}
	if err != nil {
		return nil, err
	}
	s.draining, s.drainNow = context.WithCancel(base)
	s.marks = newMarks(base, s.limits.marks())
	cs := connect.NewServer()
	xmev1connect.RegisterMonitorHandler(cs, s)
	strict := connectproto.NewJSONCodec()
	strict.UnmarshalOptions.DiscardUnknown = false // a field that is misspelt is told
	opts := []connecthttp.Option{
		connecthttp.WithCodecs(connectproto.NewBinaryCodec(), strict),
		connecthttp.WithReadMaxBytes(s.limits.Message + slack), connecthttp.WithCompressMinBytes(compressFrom),
	}
	connecthttp.Mount(s.mux, cs, opts...)
	s.refusal = connecthttp.NewErrorWriter(opts...)
	return s, nil
}

const (
	slack        = 4 << 10  // of a message besides arguments or result
	compressFrom = 32 << 10 // answers of this size are compressed for who asks
	headerBytes  = 64 << 10
	idleTime     = 3 * time.Minute
	pingTime     = 15 * time.Second
)

// http returns the HTTP server around s.
func (s *server) http(base context.Context) *http.Server {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(s.tls != nil)
	p.SetUnencryptedHTTP2(s.tls == nil)
	hs := &http.Server{
		Handler: s, Protocols: p, ReadHeaderTimeout: s.limits.Slow, ReadTimeout: s.limits.Slow, IdleTimeout: idleTime, MaxHeaderBytes: headerBytes,
		HTTP2:       &http.HTTP2Config{MaxConcurrentStreams: max(s.limits.Calls, 100), SendPingTimeout: pingTime, PingTimeout: pingTime, WriteByteTimeout: s.limits.Slow},
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, &connection{Conn: c})
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if state == http.StateNew && !s.gate.closed() {
				s.new[c] = struct{}{}
			} else {
				delete(s.new, c)
			}
		},
	}
	hs.TLSConfig = s.tlsConfig
	return hs
}

// end takes no more requests, waits for those under way, and closes everything.
func (s *server) end(hs *http.Server, end context.CancelCauseFunc) {
	s.gate.shut()
	s.drainNow()
	s.mu.Lock()
	for c := range s.new { // Shutdown would give them time for a request
		_ = c.Close()
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), max(s.drain, 0))
	defer cancel()
	_ = hs.Shutdown(ctx)
	select {
	case <-s.gate.empty:
	case <-ctx.Done():
	}
	end(refuse(connect.CodeUnavailable, "", "the server ended before the call did"))
	_ = hs.Close()
	<-s.gate.empty
}

type connKey struct{}
