package rpc_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/xmetest"
)

// TestTokenIsNotShown: no verb shows a client's token, or reads what its connections write: a client ends up in logs.
func TestTokenIsNotShown(t *testing.T) {
	s := serveOn(t, listen(t), nil)
	c := dial(t, s.addr, rpc.WithToken("xmet1.secret"))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		if text, want := fmt.Sprintf(verb, c), "rpc client of "+s.addr; text != want {
			t.Errorf("%s shows %q, want %q", verb, text, want)
		}
	}
}

// TestTextThatIsNoUTF8: what cannot be sent is refused at once, as an argument: it is not that nobody answers, and it cannot have run.
func TestTextThatIsNoUTF8(t *testing.T) {
	m := monitor.New(monitor.Options{})
	c := dial(t, serveOn(t, listen(t), []rpc.Function{rpc.Export(echo, xme.Inline())}, rpc.WithMonitor(m)).addr, rpc.WithRetry(0))
	_, err := c.CallJSON(t.Context(), "echo", []byte("\"\xff\""))
	wants := map[string]error{"args": err}
	_, wants["name"] = rpc.Call[string, string](t.Context(), c, "\xff", "")
	wants["put"] = c.Update(t.Context(), rpc.Put("\xff", 1))
	wants["put JSON"] = c.Update(t.Context(), rpc.PutJSON("k", []byte("\"\xff\"")))
	_, wants["keys"] = c.Messages(t.Context(), "\xff")
	for r := range c.StreamJSON(t.Context(), "echo", [][]byte{[]byte("\"\xff\"")}) {
		wants["stream"] = r.Err
	}
	for name, err := range wants {
		if name == "keys" && err != nil && !strings.Contains(err.Error(), "lost") || name == "name" && err != nil && !strings.Contains(err.Error(), "lost") {
			continue // no such key, no such function
		}
		if e := fmt.Sprint(err); err == nil || strings.Contains(e, "lost") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSubscribeGoesOnBesideMuch: after a cut a Subscribe goes on, also if all messages together are more than one answer may be.
func TestSubscribeGoesOnBesideMuch(t *testing.T) {
	m := monitor.New(monitor.Options{})
	l := listen(t)
	serveOn(t, l, nil, rpc.WithMonitor(m), rpc.WithLimits(rpc.Limits{Message: 10000}))
	p := newProxy(t, l.Addr().String(), 1, 0)
	c := dial(t, p.addr())
	for i := range 3 {
		is(t, monitor.Set(t.Context(), m, fmt.Sprint("other", i), strings.Repeat("x", 6000)), nil)
	}
	is(t, monitor.Set(t.Context(), m, "mine", 1), nil)
	n := 0
	for _, err := range c.Subscribe(limited(t), "mine") {
		if err != nil {
			t.Fatalf("after a cut: %v", err)
		}
		if n++; n == 2 {
			break
		}
		p.cut()
		is(t, monitor.Set(t.Context(), m, "mine", 2), nil)
	}
}

// TestSubscribeGoesOnAtTheLimit: a Subscribe that had its place among the calls in flight goes on after a cut. To be told "busy: try again later" is no end, and
// it needs no second place for itself.
func TestSubscribeGoesOnAtTheLimit(t *testing.T) {
	m := monitor.New(monitor.Options{})
	l := listen(t)
	serveOn(t, l, nil, rpc.WithMonitor(m), rpc.WithLimits(rpc.Limits{Calls: 1}))
	p := newProxy(t, l.Addr().String(), 1, 0)
	c := dial(t, p.addr())
	is(t, monitor.Set(t.Context(), m, "mine", 1), nil)
	n := 0
	for _, err := range c.Subscribe(limited(t), "mine") {
		if err != nil {
			t.Fatalf("after a cut: %v", err)
		}
		if n++; n == 2 {
			break
		}
		p.cut()
		is(t, monitor.Set(t.Context(), m, "mine", 2), nil)
	}
}

// TestSlowLoopKeepsItsStream: a loop that takes longer for what has come than Limits.Linger does not lose what has not: the client is there.
func TestSlowLoopKeepsItsStream(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 3})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)}, rpc.WithLimits(rpc.Limits{StreamBytes: 1000, Linger: 20 * time.Millisecond}))
	c := dial(t, s.addr)
	large := "slow loop " + strings.Repeat("x", 2000)
	close(gateOf(large).open)
	left, rest := gateOf("slow loop left"), gateOf("slow loop rest")
	first := true
	for r := range rpc.Stream[string, string](limited(t), c, "hold", []string{"slow loop rest", large}) {
		if r.Err != nil {
			t.Fatalf("row %d: %v", r.Index, r.Err)
		}
		if !first {
			continue
		}
		first = false
		// The loop is at work while another call, whose client has gone, is let go: as long as Linger at least.
		<-rest.begun
		l := listen(t)
		_ = l.Close()
		mark := hello(t, s.addr+"/xme.v1.Monitor/")
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-left.begun; cancel() }()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.addr+"/xme.v1.Monitor/Call", strings.NewReader(`{"function":"hold","args":"\"slow loop left\"","mark":`+mark(1)+`}`))
		is(t, err, nil)
		req.Header.Set("Content-Type", "application/json")
		tr := &http.Transport{DisableKeepAlives: true}
		if res, err := tr.RoundTrip(req); err == nil {
			_ = res.Body.Close()
		}
		_ = <-left.ended
		close(rest.open)
	}
}

// late is a proxy that sends the first Stream request on once more when it is told to, as a network does that has kept a copy whose sender has given up.
type late struct {
	*httputil.ReverseProxy
	mu   sync.Mutex
	body string
}

func (p *late) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/Stream") {
		text, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		if p.body == "" {
			p.body = string(text)
		}
		p.mu.Unlock()
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(text))), int64(len(text))
	}
	p.ReverseProxy.ServeHTTP(w, r)
}

// TestLateRequestOfStream: a first attempt that arrives after the second takes the stream over. Its answer reaches nobody, and the client takes it back.
func TestLateRequestOfStream(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)})
	to, err := url.Parse(s.addr)
	is(t, err, nil)
	p := &late{ReverseProxy: httputil.NewSingleHostReverseProxy(to)}
	p.FlushInterval = -1
	tr := &http.Transport{}
	p.Transport = tr
	t.Cleanup(tr.CloseIdleConnections)
	l := listen(t)
	hs := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = hs.Serve(l) }()
	t.Cleanup(func() { _ = hs.Close() })
	c := dial(t, "http://"+l.Addr().String())
	close(gateOf("late a").open)
	b := gateOf("late b")
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	var wg sync.WaitGroup
	for r := range rpc.Stream[string, string](ctx, c, "hold", []string{"late a", "late b"}) {
		if r.Err != nil {
			t.Errorf("row %d: %v", r.Index, r.Err)
			break
		}
		if r.Value != "late a" {
			continue
		}
		p.mu.Lock()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.addr+"/xme.v1.Monitor/Stream", strings.NewReader(p.body))
		p.mu.Unlock()
		is(t, err, nil)
		req.Header.Set("Content-Type", "application/connect+proto")
		req.Header.Set("Connect-Protocol-Version", "1")
		res, err := tr.RoundTrip(req)
		is(t, err, nil)
		if _, err := res.Body.Read(make([]byte, 1)); err != nil { // it has taken over
			t.Error(err)
		}
		wg.Go(func() { _, _ = io.Copy(io.Discard, res.Body); _ = res.Body.Close() })
		go close(b.open)
	}
	cancel()
	wg.Wait()
}

// TestServerThatSaysNothing: WithRetry bounds how long a client tries to reach a server that does not answer. Hello is no call that may take its time.
func TestServerThatSaysNothing(t *testing.T) {
	l := listen(t)
	defer l.Close()
	var mu sync.Mutex
	var conns []net.Conn
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
		}
	}()
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	_, err := rpc.Dial(ctx, "http://"+l.Addr().String(), rpc.Plain(), rpc.WithRetry(time.Millisecond))
	is(t, err, rpc.ErrLost)
}
