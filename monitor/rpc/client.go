package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1/xmev1connect"
)

// Client calls the functions of a server. It may be used from any goroutine; calls share its
// connections.
type Client struct {
	dialOptions
	addr      string
	api       xmev1connect.MonitorClient
	transport *http.Transport
	closed    chan struct{}
	once      sync.Once
	quiet     sync.WaitGroup // what goes on after its call has returned

	opening chan struct{} // holds a token while a session is opened
	mu      sync.Mutex
	ses     *clientSession   // nil: none is open
	old     []*clientSession // before it, whose calls are not all done with
	conns   map[net.Conn]struct{}
	ended   bool                        // no more of quiet, no more connections
	most    atomic.Int64                // bytes of an answer
	secured atomic.Pointer[securedConn] // made last
}

// Format implements [fmt.Formatter]: every verb shows a client as the address that it calls, and
// nothing of its contents, such as its token.
func (c *Client) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "rpc client of "+c.addr) }

// protocol is which HTTP is spoken without TLS.
type protocol int

// A round trip over HTTP/1.1 takes two thirds of one over HTTP/2, and many calls in flight take about the same.
const (
	http1 protocol = iota
	http2
)

// Dial connects to the server at addr: "https://host:port"; with [Plain], "http://127.0.0.1:port"
// or "unix:/path". It opens a session there; ctx bounds Dial only.
//
// A call by the client is marked, so that it runs at most once: if an answer is lost, the call is
// sent again with its mark until the server tells how it ended. Only if the server cannot tell does
// it fail, with [ErrRestarted], [ErrForgotten] or [ErrLost].
func Dial(ctx context.Context, addr string, o ...DialOption) (*Client, error) {
	c := &Client{addr: addr, closed: make(chan struct{}), opening: make(chan struct{}, 1), conns: map[net.Conn]struct{}{}, dialOptions: dialOptions{retry: 30 * time.Second}}
	for _, set := range o {
		set.dial(&c.dialOptions)
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	base, err := c.connector(addr)
	if err != nil {
		return nil, err
	}
	c.most.Store(mostSlack)
	c.api = xmev1connect.NewMonitorClient(connect.NewClient(connecthttp.NewTransport(doer{c}, base,
		connecthttp.WithReadMaxBytes(mostAnswer), connecthttp.WithCompressors())))
	if _, err := c.session(ctx, true); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// connector makes the transport for addr and returns the URL that requests go to.
func (c *Client) connector(addr string) (string, error) {
	if c.tls != nil && !c.tls.files.made() {
		return "", errors.New("rpc: WithTLS was given a zero TLS: make it by LoadTLS")
	}
	t := &http.Transport{
		MaxIdleConns: 256, MaxIdleConnsPerHost: 256, IdleConnTimeout: idleTime / 2, TLSHandshakeTimeout: 10 * time.Second, DisableCompression: true,
		Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{SendPingTimeout: pingTime, PingTimeout: pingTime},
	}
	network, at, base := "tcp", "", addr
	if path, ok := cutUnix(addr); ok {
		network, at, base = "unix", path, "http://localhost"
		if c.tls != nil {
			base = "https://localhost"
		}
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return "", fmt.Errorf("rpc: the address %q is none of https://host:port, http://127.0.0.1:port, unix:/path", addr)
	}
	switch {
	case u.Scheme == "https" && !c.plain:
		t.Protocols.SetHTTP2(true)
		t.Protocols.SetHTTP1(true)
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13}
		if c.tls != nil {
			c.dialTLS(t, u.Hostname())
		}
	case u.Scheme == "http" && c.plain && c.tls == nil:
		if network == "tcp" && !ownHost(u.Host) {
			return "", fmt.Errorf("rpc: %s is not an address of this machine, and others are called over TLS only: https://%s", addr, u.Host)
		}
		t.Protocols.SetUnencryptedHTTP2(c.proto == http2)
		t.Protocols.SetHTTP1(c.proto == http1)
	case u.Scheme == "http" && c.tls == nil:
		return "", fmt.Errorf("rpc: %s is called without TLS only with Plain", addr)
	default:
		return "", fmt.Errorf("rpc: the options do not fit the address %s", addr)
	}
	d := &net.Dialer{Timeout: 10 * time.Second}
	t.DialContext = func(ctx context.Context, _, host string) (net.Conn, error) {
		if at != "" {
			host = at
		}
		conn, err := d.DialContext(ctx, network, host)
		if err != nil {
			return nil, err
		}
		return c.track(conn)
	}
	c.transport = t
	return base, nil
}

// cutUnix returns the path of a Unix socket's address.
func cutUnix(addr string) (path string, ok bool) {
	path, ok = strings.CutPrefix(addr, "unix:")
	if strings.HasPrefix(path, "///") {
		path = path[2:]
	}
	return path, ok && path != ""
}

// doer sends requests.
type doer struct{ c *Client }

func (d doer) Do(r *http.Request) (*http.Response, error) {
	if d.c.token.given {
		r.Header.Set("Authorization", "Bearer "+d.c.token.text.Value())
	}
	if d.c.request != nil {
		d.c.request(r)
	}
	res, err := d.c.transport.RoundTrip(r)
	if err != nil {
		if known := unknownServer(err); known != err { //nolint:errorlint // whether it is another
			return nil, known
		}
		if d.c.tls != nil {
			err = d.c.refused(err)
		}
	}
	if err == nil && !strings.HasPrefix(res.Header.Get("Content-Type"), "application/connect+") { // of streams Connect bounds each message
		res.Body = &boundedBody{res.Body, d.c.most.Load()}
	}
	return res, err
}

// boundedBody is an answer that is read to a bound.
type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, &Error{Code: "resource_exhausted", Message: "the answer is larger than what the server said of its messages", kind: ErrTooLarge}
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// track lets Close close a connection.
func (c *Client) track(conn net.Conn) (*trackedConn, error) {
	t := &trackedConn{Conn: conn, c: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		_ = conn.Close()
		return nil, ErrClosed
	}
	c.conns[t] = struct{}{}
	return t, nil
}

type trackedConn struct {
	net.Conn
	c      *Client
	closed atomic.Bool
}

func (t *trackedConn) Close() error {
	t.c.mu.Lock()
	delete(t.c.conns, t)
	t.c.mu.Unlock()
	t.closed.Store(true)
	return t.Conn.Close()
}

// mostAnswer bounds an answer, whatever the server says.
const mostAnswer = 1 << 30

// byeTime bounds how long Close tries to tell the server.
const byeTime = time.Second

// Close ends the client's session and closes its connections. Calls in flight are cancelled and
// fail with [ErrClosed].
func (c *Client) Close() error {
	if c == nil || c.closed == nil {
		return nil
	}
	c.once.Do(func() {
		close(c.closed)
		c.mu.Lock()
		open := c.old
		if c.ses != nil {
			open = append(open, c.ses)
		}
		c.ses, c.old = nil, nil
		c.mu.Unlock()
		c.bye(open)
		c.mu.Lock()
		c.ended = true
		conns := slices.Collect(maps.Keys(c.conns))
		c.mu.Unlock()
		for _, conn := range conns {
			_ = conn.Close()
		}
		if c.transport != nil {
			c.transport.CloseIdleConnections()
		}
		c.quiet.Wait()
	})
	return nil
}

// bye ends sessions.
func (c *Client) bye(open []*clientSession) {
	ctx, cancel := context.WithTimeout(context.Background(), byeTime)
	defer cancel()
	for _, s := range open {
		_, _ = c.api.Cancel(ctx, &xmev1.CancelRequest{Mark: &xmev1.Mark{Life: s.life, Session: s.id}})
	}
}

// aside runs f beside the client's calls; not any more once it is closed.
func (c *Client) aside(f func(ctx context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.quiet.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), byeTime)
		defer cancel()
		f(ctx)
	})
}

// List returns the functions that the server lets the client call.
func (c *Client) List(ctx context.Context) ([]FunctionInfo, error) {
	var list []FunctionInfo
	err := c.repeat(ctx, "", func(int) (note, error) {
		res, err := c.api.List(ctx, &xmev1.ListRequest{})
		list = nil
		for _, f := range res.GetFunctions() {
			list = append(list, FunctionInfo{f.GetName(), f.GetInput(), f.GetOutput()})
		}
		return 0, err
	})
	return list, err
}
