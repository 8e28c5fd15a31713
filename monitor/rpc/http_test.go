package rpc_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/xmetest"
)

// post sends a request as curl would, and returns the status and the body.
func post(t *testing.T, url, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	res, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// feature: N3
func TestOtherLanguages(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(shift, pool), rpc.Export(fail, pool)}, rpc.WithLimits(rpc.Limits{Message: 100000}))
	base := s.addr + "/xme.v1.Monitor/"
	for _, tc := range []struct {
		path, body string
		header     []string
		status     int
		has        string
	}{
		{"Call", `{"function":"shift","args":"{\"x\":9007199254740993}"}`, nil, 200, `{\"x\":9007199254740994,`},
		{"Call", `{"function":"nobody"}`, nil, 404, `"code":"not_found"`},
		{"Call", `{"function":"fail","args":"\"own\""}`, nil, 500, `no route`},
		{"Call", `{"function":`, nil, 400, `"code":"invalid_argument"`},
		{"Call", `{"function":"shift","args":"` + strings.Repeat(" ", 200000) + `"}`, nil, 429, `"code":"resource_exhausted"`},
		{"Call", strings.Repeat(`{"mark":`, 12000), nil, 400, `"code":"invalid_argument"`},
		{"Call", `{}`, []string{"Host", "evil.example:80"}, 403, `not this machine`},
		{"Call", `{}`, []string{"Host", "127.0.0.1.evil.example"}, 403, `not this machine`},
		{"List", `{}`, []string{"Host", "LOCALHOST:1"}, 200, `shift`},
		{"List", `{}`, []string{"Host", "[::1]:1"}, 200, `shift`},
		{"List", `{}`, []string{"Origin", "http://evil.example"}, 403, `another web page`},
		{"List", `{}`, []string{"Content-Type", "text/plain"}, 415, ``},
		{"Nothing", `{}`, nil, 501, `unimplemented`},
		{"Call", `{"function":"shift","args":"{}","mark":{"life":"x","session":"y","number":1}}`, nil, 400, `"reason":"restarted"`},
	} {
		status, body := post(t, base+tc.path, tc.body, tc.header...)
		if status != tc.status || !strings.Contains(body, tc.has) {
			t.Errorf("%s %.60s: %d %.300s", tc.path, tc.body, status, body)
		}
	}
	_, hello := post(t, base+"Hello", `{}`)
	var session struct{ Life, Session string }
	if err := json.Unmarshal([]byte(hello), &session); err != nil {
		t.Fatal(err)
	}
	call := fmt.Sprintf(`{"function":"shift","args":"{\"x\":1}","mark":{"life":%q,"session":%q,"number":1}}`, session.Life, session.Session)
	for range 2 {
		if status, body := post(t, base+"Call", call); status != 200 || !strings.Contains(body, `\"x\":2`) {
			t.Error(status, body)
		}
	}

	// A stream: a flag byte and a length before each message, the last with flag 2.
	req := `{"function":"shift","args":["{\"x\":1}","{\"x\":5}"]}`
	frame := append([]byte{0}, binary.BigEndian.AppendUint32(nil, uint32(len(req)))...)
	status, body := post(t, base+"Stream", string(frame)+req, "Content-Type", "application/connect+json")
	if status != 200 || strings.Count(body, `"result":`) != 2 || !strings.HasSuffix(body, "\x02\x00\x00\x00\x02{}") {
		t.Errorf("%d %q", status, body)
	}
}

// feature: N3
func TestBomb(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(echo, pool)})
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range 24 {
		_, _ = w.Write(zeros)
	}
	_ = w.Close()
	status, body := post(t, s.addr+"/xme.v1.Monitor/Call", b.String(), "Content-Encoding", "gzip")
	if status != 429 || !strings.Contains(body, "resource_exhausted") {
		t.Errorf("%d %.200s", status, body)
	}
}

// feature: N3
func TestPlainOnlyHere(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "0.0.0.0:0")
	if err != nil {
		t.Skip(err)
	}
	err = rpc.Serve(t.Context(), l, nil, rpc.Plain())
	if err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Error(err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("Serve left its listener open")
	}
	if err := rpc.Serve(t.Context(), listen(t), nil); err == nil {
		t.Error("served without TLS, unasked")
	}
	for _, addr := range []string{"http://example.com:1", "https://x", "unix:", "ftp://127.0.0.1", "127.0.0.1:80", "http://user@127.0.0.1:1", ""} {
		if _, err := rpc.Dial(t.Context(), addr, rpc.Plain()); err == nil {
			t.Error(addr)
		}
	}
	if _, err := rpc.Dial(t.Context(), "http://127.0.0.1:1"); err == nil {
		t.Error("called without TLS, unasked")
	}
}

// feature: N3
func TestSlow(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 1})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool), rpc.Export(long, pool)}, rpc.WithLimits(rpc.Limits{Slow: 50 * time.Millisecond}))
	addr := strings.TrimPrefix(s.addr, "http://")
	head := "POST /xme.v1.Monitor/Call HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
	for name, sent := range map[string]string{"head": "POST /x HTTP/1.1\r\n", "body": fmt.Sprintf(head, 100) + "{"} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); err != nil { // it ends, since the server closes it
			t.Error(name, err)
		}
		_ = conn.Close()
	}
	// An answer that is not taken: the server gives up, and what it held is free.
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	call := `{"function":"long","args":"4000000"}`
	for range 3 {
		if _, err := fmt.Fprintf(conn, head+"%s", len(call), call); err != nil {
			break
		}
	}
	_ = s.stop() // waits for the handlers
	_ = conn.Close()

	// Nor is one that refuses: its connection is closed, and another may come.
	s = serveOn(t, listen(t), nil, rpc.WithLimits(rpc.Limits{Slow: 50 * time.Millisecond, Conns: 1}))
	if conn, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.addr, "http://")); err != nil {
		t.Fatal(err)
	}
	foreign := strings.Repeat("GET /x HTTP/1.1\r\nHost: elsewhere\r\n\r\n", 100)
	for err = nil; err == nil; { // until neither side takes anything
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, err = io.WriteString(conn, foreign)
	}
	dial(t, s.addr)
	_ = conn.Close()

	// A call may last longer than that.
	s = serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)}, rpc.WithLimits(rpc.Limits{Slow: 10 * time.Millisecond}))
	for name, o := range map[string]rpc.DialOption{"slow h1": rpc.HTTP1(), "slow h2": rpc.HTTP2()} {
		c := dial(t, s.addr, o)
		g, ended := held(context.Background(), t, c, name)
		<-time.After(50 * time.Millisecond)
		close(g.open)
		is(t, <-ended, nil)
	}
}

func TestConns(t *testing.T) {
	s := serveOn(t, listen(t), nil, rpc.WithLimits(rpc.Limits{Conns: 1}))
	c := dial(t, s.addr)
	_, err := rpc.Dial(t.Context(), s.addr, rpc.Plain(), rpc.WithRetry(time.Millisecond))
	is(t, err, rpc.ErrLost)
	_ = c.Close()
	dial(t, s.addr)
}
