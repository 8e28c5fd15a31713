package rpc

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/xenonmp/xme/monitor"
)

// ServeOption is an option of [Serve].
type ServeOption interface{ serve(o *serveOptions) }

// DialOption is an option of [Dial].
type DialOption interface{ dial(o *dialOptions) }

// Option is an option of both [Serve] and [Dial].
type Option interface {
	ServeOption
	DialOption
}

type serveOptions struct {
	plain   bool
	tls     *TLS
	monitor *monitor.Monitor
	limits  Limits
	drain   time.Duration
	log     *slog.Logger
	access  access
}

type dialOptions struct {
	plain   bool
	tls     *TLS
	log     *slog.Logger
	retry   time.Duration
	proto   protocol
	token   secret
	request func(*http.Request) // changes each request before it is sent; nil: nothing does
}

type serveFunc func(*serveOptions)

func (f serveFunc) serve(o *serveOptions) { f(o) }

type dialFunc func(*dialOptions)

func (f dialFunc) dial(o *dialOptions) { f(o) }

type bothFunc struct {
	serveFunc
	dialFunc
}

// Plain serves or calls without TLS. A server then listens only on a loopback address or a Unix
// socket. On a loopback address it refuses requests whose Host is not of this machine, so that no
// web page reaches it through a name of its own.
func Plain() Option {
	return bothFunc{func(o *serveOptions) { o.plain = true }, func(o *dialOptions) { o.plain = true }}
}

// WithTLS serves or calls over TLS as configured by c.
func WithTLS(c *TLS) Option {
	return bothFunc{func(o *serveOptions) { o.tls = c }, func(o *dialOptions) { o.tls = c }}
}

// WithLogger logs errors to l: on a server, failures that are not the caller's fault, with all
// details that callers are not told; on a client, at level debug, each attempt that got no answer.
// By default nothing is logged.
func WithLogger(l *slog.Logger) Option {
	return bothFunc{func(o *serveOptions) { o.log = l }, func(o *dialOptions) { o.log = l }}
}

// WithMonitor serves the messages of m. Without it, requests for messages are answered as
// unimplemented.
func WithMonitor(m *monitor.Monitor) ServeOption {
	return serveFunc(func(o *serveOptions) { o.monitor = m })
}

// WithDrain bounds how long the calls that a server has accepted may go on after its context has
// ended; then they are cancelled. The default is 10 s. 0 or less cancels them at once.
func WithDrain(d time.Duration) ServeOption { return serveFunc(func(o *serveOptions) { o.drain = d }) }

// WithRetry sets how long a client tries to reach a server that does not answer before a call fails
// with [ErrLost]. The default is 30 s. The end of a call's context ends it sooner. The time that an
// accepted call takes does not count as long as the connection by which it was sent persists; of
// each further attempt without an answer, up to 10 s do.
func WithRetry(d time.Duration) DialOption { return dialFunc(func(o *dialOptions) { o.retry = d }) }

// WithLimits bounds what a server does at once and what it keeps. Zero fields keep their defaults.
func WithLimits(l Limits) ServeOption { return serveFunc(func(o *serveOptions) { o.limits = l }) }

// Limits holds the bounds of a server.
type Limits struct {
	Calls           int           // calls and streams in flight, 1024: one more is answered "busy" at once
	CallsPerSession int           // of one session, or unmarked ones of one caller, by name or else by host; 0: no separate bound
	Conns           int           // connections, 1024: one more is closed at once. One request more than twice Calls and Conns together is "busy" too, but at least 128 may always be under way
	Message         int           // bytes of a request, and of an answer: 4 MiB
	Pending         int           // bytes of requests that are arriving or whose calls run, beyond 64 KiB of each: 20 times Message, less if Calls is below 18; one more is "busy"
	Sessions        int           // 65536: the one unused for longest is forgotten
	Kept            int           // bytes of outcomes that clients may not have yet, in all sessions: 64 MiB; then the oldest of the session with the most are forgotten
	KeptAge         time.Duration // how long an outcome is kept: 2 min
	Linger          time.Duration // how long a marked call goes on while no request waits for it: 30 s
	Slow            time.Duration // how long a request may take to arrive, and an answer to be accepted: 30 s
	Streams         int           // rows of a stream in flight: 64
	StreamBytes     int           // bytes of results of a stream, unconfirmed by its client or in flight by estimate, above which no more rows start: 1 MiB, or half of Kept, which is also the maximum
}

// check says what of the limits nothing can be done under.
func (l Limits) check() error {
	v := reflect.ValueOf(l)
	for i := range v.NumField() {
		if v.Field(i).Int() < 0 {
			return fmt.Errorf("rpc: Limits.%s is %v: give more than 0, or 0 for the default", v.Type().Field(i).Name, v.Field(i))
		}
	}
	if d := l.withDefaults(); d.StreamBytes > d.Kept/2 {
		return fmt.Errorf("rpc: Limits.StreamBytes, %d, is over half of Kept, %d: a stream that has ended would be forgotten before its client has read it", d.StreamBytes, d.Kept)
	}
	return nil
}

func (l Limits) withDefaults() Limits {
	l.Calls = cmp.Or(l.Calls, 1024)
	l.Conns = cmp.Or(l.Conns, 1024)
	l.Message = cmp.Or(l.Message, 4<<20)
	l.Pending = cmp.Or(l.Pending, (min(l.Calls, 18)+2)*l.Message)
	l.Sessions = cmp.Or(l.Sessions, 65536)
	l.Kept = cmp.Or(l.Kept, 64<<20)
	l.KeptAge = cmp.Or(l.KeptAge, 2*time.Minute)
	l.Linger = cmp.Or(l.Linger, 30*time.Second)
	l.Slow = cmp.Or(l.Slow, 30*time.Second)
	l.Streams = cmp.Or(l.Streams, 64)
	l.StreamBytes = cmp.Or(l.StreamBytes, min(1<<20, l.Kept/2))
	return l
}

// mostUnderWay is how many requests may be under way at once, whatever they ask for: each takes some memory of its own, which no other limit counts.
func (l Limits) mostUnderWay() int64 {
	const least, endless = 128, gateClosed / 8
	return max(2*(min(int64(l.Calls), endless)+min(int64(l.Conns), endless)), least)
}

func (l Limits) marks() markLimits {
	return markLimits{Sessions: l.Sessions, CallsPerSession: l.CallsPerSession, Kept: l.Kept, KeptAge: l.KeptAge, Linger: l.Linger}
}
