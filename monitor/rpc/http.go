package rpc

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
)

var crossOrigin = http.NewCrossOriginProtection()

// request is what handlers know of the request that they serve.
type request struct {
	caller Caller
	http   *http.Request
	conn   net.Conn // of HTTP/1, which serves nothing else; nil: it is shared
}

type requestKey struct{}

func requestOf(ctx context.Context) request {
	r, _ := ctx.Value(requestKey{}).(request)
	return r
}

// ServeHTTP implements http.Handler: it refuses what may not come in before anything of it is read, and bounds how long it takes to come in and to be taken.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.gate.enter() {
		w.Header().Set("Connection", "close")
		s.refuse(w, r, refuse(connect.CodeUnavailable, "draining", "the server is ending"))
		return
	}
	defer s.gate.leave()
	if s.hosts && !ownHost(r.Host) {
		s.refuse(w, r, refuse(connect.CodePermissionDenied, "not_allowed", "the request is for a host that is not this machine"))
		return
	}
	if err := crossOrigin.Check(r); err != nil {
		s.refuse(w, r, refuse(connect.CodePermissionDenied, "not_allowed", "the request is another web page's: "+err.Error()))
		return
	}
	caller, err := s.access.authenticate(r, s.tls)
	if err != nil {
		s.log.Warn("request refused", "remote", r.RemoteAddr, "err", err)
		s.refuse(w, r, refuse(connect.CodeUnauthenticated, "unauthenticated", err.Error()))
		return
	}
	info := request{caller: caller, http: r}
	if r.ProtoMajor == 1 {
		info.conn, _ = r.Context().Value(connKey{}).(net.Conn)
	}
	rw := &responseWriter{ResponseWriter: w, control: http.NewResponseController(w), slow: s.limits.Slow, shared: r.ProtoMajor > 1}
	if r.Header.Get("Expect") != "" {
		rw.arm()
	}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, info))
	if r.Body != nil && r.Body != http.NoBody {
		b := &requestBody{ReadCloser: r.Body, control: rw.control, shared: rw.shared}
		b.arm(s.limits.Slow)
		if b.shared { // else the deadline holds for what the handler leaves of the body
			defer b.disarm()
		}
		r.Body = b
	}
	s.mux.ServeHTTP(rw, r)
}

func (s *server) refuse(w http.ResponseWriter, r *http.Request, f *failure) {
	if s.refusal.IsSupported(r) {
		_ = s.refusal.Write(w, r, f.connect())
		return
	}
	http.Error(w, f.message, http.StatusForbidden)
}

// ownHost reports whether a Host header names this machine by a name that nobody else can give it.
func ownHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// responseWriter bounds how long an answer may take: from its first byte, and anew after each flush.
type responseWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	slow    time.Duration
	shared  bool // the connection is
	armed   bool
}

func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *responseWriter) arm() {
	if !w.armed {
		w.armed = true
		_ = w.control.SetWriteDeadline(time.Now().Add(w.slow))
	}
}

func (w *responseWriter) Write(b []byte) (int, error) {
	w.arm()
	return w.ResponseWriter.Write(b)
}

func (w *responseWriter) Flush() {
	w.arm()
	_ = w.control.Flush()
	w.armed = false
	if w.shared { // there the deadline ends the stream also if nothing is written
		_ = w.control.SetWriteDeadline(time.Time{})
	}
}

// requestBody bounds how long a request may take to arrive, and not how long its call takes.
type requestBody struct {
	io.ReadCloser
	control *http.ResponseController
	shared  bool

	mu    sync.Mutex
	over  bool
	timer *time.Timer
}

func (b *requestBody) arm(slow time.Duration) {
	if !b.shared {
		_ = b.control.SetReadDeadline(time.Now().Add(slow))
		return
	}
	b.timer = time.AfterFunc(slow, func() { // cheaper than to tell the connection, and undo it
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.over {
			_ = b.control.SetReadDeadline(time.Unix(1, 0))
		}
	})
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) { // else there is more, which shall not take its time either
		b.disarm()
	}
	return n, err
}

func (b *requestBody) disarm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	b.over = true
	if b.timer != nil {
		b.timer.Stop()
	} else {
		_ = b.control.SetReadDeadline(time.Time{})
	}
}
