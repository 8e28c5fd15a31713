package rpc_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
	"github.com/xenonmp/xme/xmetest"
	"google.golang.org/protobuf/proto"
)

// TestRowsAreBounded: a stream has so many rows at most.
func TestRowsAreBounded(t *testing.T) {
	c := dial(t, serveOn(t, listen(t), []rpc.Function{rpc.Export(count, xme.Inline())}).addr)
	for r := range c.StreamJSON(t.Context(), "count", make([][]byte, 65537)) {
		is(t, r.Err, rpc.ErrTooLarge)
	}
	if n := ran(""); n != 0 {
		t.Errorf("%d rows of a stream ran that was refused", n)
	}
}

// TestCancelledStreamIsShort: what a cancelled stream says of the rows that did not begin is one error.
func TestCancelledStreamIsShort(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 1})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)})
	base := s.addr + "/xme.v1.Monitor/"
	mark := hello(t, base)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		<-gateOf("short").begun
		post(t, base+"Cancel", `{"mark":`+mark(1)+`}`)
	})
	req := frame(`{"function":"hold","args":["\"short\""` + strings.Repeat(`,"\"short\""`, 999) + `],"mark":` + mark(1) + `}`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"Stream", strings.NewReader(req))
	is(t, err, nil)
	r.Header.Set("Content-Type", "application/connect+json")
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	is(t, err, nil)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	is(t, err, nil)
	if n := strings.Count(string(text), `"canceled"`); n == 0 || n > 70 || !strings.Contains(string(text), `{"error":{"code":"canceled"`) {
		t.Errorf("%d times canceled: %.300q", n, text)
	}
}

// TestDrainSendsOn: a stream that a server has accepted comes to its end while the server ends, also if it is more than what may be unconfirmed.
func TestDrainSendsOn(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)}, rpc.WithLimits(rpc.Limits{StreamBytes: 2000}), rpc.WithDrain(time.Minute))
	c, other := dial(t, s.addr), dial(t, s.addr, rpc.WithRetry(time.Millisecond))
	in := make([]string, 40)
	for i := range in {
		in[i] = fmt.Sprint("drain on ", i)
	}
	close(gateOf(in[0]).open)
	stopped := make(chan error, 1)
	n := 0
	for r := range rpc.Stream[string, string](limited(t), c, "hold", in) {
		if r.Err != nil {
			t.Fatalf("row %d: %v", r.Index, r.Err)
		}
		if n++; n > 1 {
			continue
		}
		go func() { stopped <- s.stop() }()
		for {
			if _, err := other.List(t.Context()); err != nil {
				break
			}
		}
		for _, name := range in[1:] {
			close(gateOf(name).open)
		}
	}
	if n != len(in) {
		t.Errorf("%d rows", n)
	}
	is(t, <-stopped, nil)
}

// TestRefusedAtRetry: a call whose first answer was lost may have run, whatever another attempt is refused for. One refused at its first attempt has not.
func TestRefusedAtRetry(t *testing.T) {
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(count, xme.Inline())})
	to, err := url.Parse(s.addr)
	is(t, err, nil)
	for name, tc := range map[string]struct {
		refuse func(w http.ResponseWriter, r *http.Request, on http.Handler)
		want   error
	}{
		"on the way": {func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"code":"unauthenticated","message":"go away"}`)
		}, rpc.ErrUnauthenticated},
		"by the server": {func(w http.ResponseWriter, r *http.Request, on http.Handler) {
			r.Header.Set("Origin", "http://elsewhere.example")
			on.ServeHTTP(w, r)
		}, rpc.ErrNotAllowed},
	} {
		on := httputil.NewSingleHostReverseProxy(to)
		tr := &http.Transport{}
		on.Transport = tr
		var lost, calls atomic.Int64 // answers to be lost
		l := listen(t)
		hs := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case !strings.HasSuffix(r.URL.Path, "/Call"):
				on.ServeHTTP(w, r)
			case calls.Add(1) <= lost.Load():
				on.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			default:
				tc.refuse(w, r, on)
			}
		})}
		go func() { _ = hs.Serve(l) }()
		c := dial(t, "http://"+l.Addr().String())
		_, err := rpc.Call[string, string](t.Context(), c, "count", name)
		if !errors.Is(err, tc.want) || errors.Is(err, rpc.ErrLost) {
			t.Errorf("%s: at the first attempt: %v", name, err)
		}
		calls.Store(0)
		lost.Store(1)
		_, err = rpc.Call[string, string](t.Context(), c, "count", name)
		if !errors.Is(err, tc.want) || !errors.Is(err, rpc.ErrLost) || ran(name) != 1 {
			t.Errorf("%s: when sent again: %v; it ran %d times", name, err, ran(name))
		}
		_ = c.Close()
		_ = hs.Close()
		tr.CloseIdleConnections()
	}
}

// TestTakenBackOften: a stream that another always takes over is not asked for without end.
func TestTakenBackOften(t *testing.T) {
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(count, xme.Inline())})
	to, err := url.Parse(s.addr)
	is(t, err, nil)
	on := httputil.NewSingleHostReverseProxy(to)
	tr := &http.Transport{}
	on.Transport = tr
	defer tr.CloseIdleConnections()
	detail, err := proto.Marshal(&xmev1.Failure{Code: "aborted", Reason: "superseded"})
	is(t, err, nil)
	end := `{"error":{"code":"aborted","details":[{"type":"xme.v1.Failure","value":"` + base64.RawStdEncoding.EncodeToString(detail) + `"}]}}`
	var n atomic.Int64
	l := listen(t)
	hs := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/Stream") {
			on.ServeHTTP(w, r)
			return
		}
		n.Add(1)
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = w.Write(binary.BigEndian.AppendUint32([]byte{2}, uint32(len(end))))
		_, _ = io.WriteString(w, end)
	})}
	go func() { _ = hs.Serve(l) }()
	defer hs.Close()
	c := dial(t, "http://"+l.Addr().String())
	for r := range rpc.Stream[string, string](limited(t), c, "count", []string{"a", "b"}) {
		is(t, r.Err, rpc.ErrLost)
	}
	if n := n.Load(); n < 2 || n > 20 {
		t.Errorf("asked for %d times", n)
	}
}
