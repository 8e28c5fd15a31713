package rpc

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
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
	if c, ok := ctx.Value(connKey{}).(*connection); ok && c.serves {
		return c.now
	}
	r, _ := ctx.Value(requestKey{}).(request)
	return r
}

// routes finds handlers by path; those whose path ends in a slash serve all below it.
type routes map[string]http.Handler

// Handle implements connecthttp.ServeMux.
func (t routes) Handle(path string, h http.Handler) { t[path] = h }

// ServeHTTP implements http.Handler.
func (t routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := t[r.URL.Path]
	if h == nil {
		h = t[r.URL.Path[:strings.LastIndexByte(r.URL.Path, '/')+1]]
	}
	if h == nil {
		h = http.NotFoundHandler()
	}
	h.ServeHTTP(w, r)
}

// ServeHTTP implements http.Handler: it refuses what may not come in before anything of it is read, and bounds how long it takes to come in and to be taken.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rw := &responseWriter{ResponseWriter: w, slow: s.limits.Slow, shared: r.ProtoMajor > 1}
	if !rw.shared {
		rw.conn, _ = r.Context().Value(connKey{}).(*connection)
	}
	if !s.gate.enter() {
		w.Header().Set("Connection", "close")
		s.refuse(rw, r, refuse(connect.CodeUnavailable, "draining", "the server is ending"))
		return
	}
	defer s.gate.leave()
	defer s.logPanic()
	if n := s.gate.n.Load(); n > s.limits.mostUnderWay() && n < gateClosed { // who came in before the end is served
		s.refuse(rw, r, refuse(connect.CodeResourceExhausted, "busy", "busy: too many requests are under way to the server; try again later"))
		return
	}
	if s.hosts && !ownHost(r.Host) {
		s.refuse(rw, r, refuse(connect.CodePermissionDenied, "not_allowed", "the request is for a host that is not this machine"))
		return
	}
	if err := crossOrigin.Check(r); err != nil {
		s.refuse(rw, r, refuse(connect.CodePermissionDenied, "not_allowed", "the request is another web page's: "+err.Error()))
		return
	}
	caller, err := s.access.authenticate(r, s.tls)
	if err != nil {
		s.refusals.warn(s.log, "request refused", "remote", r.RemoteAddr, "err", err)
		s.refuse(rw, r, refuse(connect.CodeUnauthenticated, "unauthenticated", err.Error()))
		return
	}
	info := request{caller: caller, http: r}
	if rw.conn != nil {
		info.conn = rw.conn
	}
	s.files()
	expects := r.Header.Get("Expect") != ""
	if rw.conn != nil && !expects && r.ContentLength >= 0 && r.ContentLength <= freeBytes { // most are such: they cost no copy of the request
		rw.conn.now, rw.conn.serves = info, true
		defer func() { rw.conn.now, rw.conn.serves = request{}, false }()
	} else {
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, info))
		b := &requestBody{ReadCloser: r.Body, budget: &s.arriving}
		if expects {
			b.expects = rw // to be told to go on is an answer
		}
		defer b.release()
		r.Body = b // of the copy: net/http looks at its own
	}
	s.mux.ServeHTTP(rw, r)
}

// logPanic logs a panic of a handler, which ends its request alone.
func (s *server) logPanic() {
	if v := recover(); v != nil {
		if v != http.ErrAbortHandler { //nolint:errorlint // it is compared as net/http does
			s.log.Error("panic in a request", "panic", v, "stack", string(debug.Stack()))
		}
		panic(http.ErrAbortHandler)
	}
}

// files logs that files of TLS or tokens cannot be read any more, once for each reason.
func (s *server) files() {
	var err error
	if s.tls != nil {
		err = s.tls.Err()
	}
	if err == nil && s.access.tokens != nil {
		err = s.access.tokens.Err()
	}
	old := s.broken.Load()
	if err == nil {
		if old != nil {
			s.broken.Store(nil)
		}
		return
	}
	if text := err.Error(); old == nil || *old != text {
		s.broken.Store(&text)
		s.log.Error("a file cannot be read any more: what it said last holds", "err", err)
	}
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
	slow   time.Duration
	shared bool // the connection is
	armed  bool
	conn   *connection // if it is not; nil: it is not known
}

// connection is one of HTTP/1, whose requests come one after the other.
type connection struct {
	net.Conn

	serves bool // it does, and now is what
	now    request
}

// control is made when it is needed: an answer of HTTP/1 needs none.
func (w *responseWriter) control() *http.ResponseController {
	return http.NewResponseController(w.ResponseWriter)
}

func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *responseWriter) arm() {
	if !w.armed { // for each answer: net/http takes the deadline away behind it
		w.armed = true
		w.deadline(time.Now().Add(w.slow))
	}
}

// deadline sets that of the connection, or stream.
func (w *responseWriter) deadline(t time.Time) {
	if w.conn != nil {
		_ = w.conn.SetWriteDeadline(t)
		return
	}
	_ = w.control().SetWriteDeadline(t)
}

// calm ends what arm began, before there is an answer.
func (w *responseWriter) calm() {
	w.armed = false
	w.deadline(time.Time{})
}

// WriteHeader arms too: an answer may have no body.
func (w *responseWriter) WriteHeader(status int) {
	w.arm()
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(b []byte) (int, error) {
	w.arm()
	return w.ResponseWriter.Write(b)
}

func (w *responseWriter) Flush() {
	w.arm()
	_ = w.control().Flush()
	w.armed = false
	if w.shared { // there the deadline ends the stream also if nothing is written
		_ = w.control().SetWriteDeadline(time.Time{})
	}
}

// requestBody counts what arrives. How long that may take is the HTTP server's to see to (ReadTimeout), whose time ends with the body.
type requestBody struct {
	io.ReadCloser
	budget  *budget
	held    int             // bytes of the budget's
	expects *responseWriter // is armed until something has come; nil: not at all
}

func (b *requestBody) Read(p []byte) (int, error) {
	if b.expects != nil {
		b.expects.arm()
	}
	n, err := b.ReadCloser.Read(p)
	if b.expects != nil {
		b.expects.calm()
		b.expects = nil
	}
	b.held += n
	if more := b.held - freeBytes; more > 0 && !b.budget.take(min(more, n)) {
		b.held -= min(more, n) // it is not the budget's
		return 0, refuse(connect.CodeResourceExhausted, "busy", "busy: too much is under way to the server; try again later").connect()
	}
	return n, err
}

// release gives the budget back.
func (b *requestBody) release() {
	if more := b.held - freeBytes; more > 0 {
		b.budget.give(more)
		b.held = 0
	}
}

// freeBytes are those of a request that count for nothing.
const freeBytes = 64 << 10

// budget bounds the bytes of requests, beyond the first of each, from their arrival to the end of their call.
type budget struct {
	left atomic.Int64
}

func (b *budget) take(n int) bool {
	if b.left.Add(int64(-n)) >= 0 {
		return true
	}
	b.left.Add(int64(n))
	return false
}

func (b *budget) give(n int) { b.left.Add(int64(n)) }

// quiet logs what outsiders cause once a second at most.
type quiet struct {
	mu   sync.Mutex
	last time.Time
	left int // out since then
}

func (q *quiet) warn(l *slog.Logger, msg string, args ...any) {
	q.mu.Lock()
	left := q.left
	if now := time.Now(); now.Sub(q.last) < time.Second {
		q.left++
		q.mu.Unlock()
		return
	} else {
		q.last, q.left = now, 0
	}
	q.mu.Unlock()
	if left > 0 {
		args = append(args, "others", left)
	}
	l.Warn(msg, args...)
}
