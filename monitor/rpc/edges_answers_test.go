package rpc_test

import (
	"context"
	"errors"
	"io"
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

// TestBusyHasNotRunAndWillNot: ErrBusy says that the call did not run. Its first attempt, kept by the network, does not run later either: whoever was told
// "busy" has called again by then.
func TestBusyHasNotRunAndWillNot(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool), rpc.Export(count, pool)}, rpc.WithLimits(rpc.Limits{Calls: 1}))
	to, err := url.Parse(s.addr)
	is(t, err, nil)
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	through := httputil.NewSingleHostReverseProxy(to)
	through.Transport = tr
	var mu sync.Mutex
	kept := ""
	l := listen(t)
	hs := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		first := strings.HasSuffix(r.URL.Path, "/Call") && kept == ""
		if first {
			text, _ := io.ReadAll(r.Body)
			kept = string(text)
		}
		mu.Unlock()
		if first {
			panic(http.ErrAbortHandler) // the connection breaks, and the request is on its way
		}
		through.ServeHTTP(w, r)
	})}
	go func() { _ = hs.Serve(l) }()
	t.Cleanup(func() { _ = hs.Close() })
	c := dial(t, "http://"+l.Addr().String())
	g, ended := held(t.Context(), t, dial(t, s.addr), "busy for once")
	_, told := rpc.Call[string, string](limited(t), c, "count", "told busy")
	is(t, told, rpc.ErrBusy)
	close(g.open)
	is(t, <-ended, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.addr+"/xme.v1.Monitor/Call", strings.NewReader(kept))
	is(t, err, nil)
	r.Header.Set("Content-Type", "application/proto")
	res, err := tr.RoundTrip(r)
	is(t, err, nil)
	_ = res.Body.Close()
	if n := ran("told busy"); n != 0 && !errors.Is(told, rpc.ErrLost) { // that says that it may have run
		t.Errorf("the client was told that it did not run, and then it ran %d times", n)
	}
}

// TestAsHidesTheName: As gives a function another public name "instead of its own": its import path is nobody's business then, in errors too.
func TestAsHidesTheName(t *testing.T) {
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(fail, xmetest.OpenInProcess(t, xme.Options{Workers: 1})).As("public")})
	if _, body := post(t, s.addr+"/xme.v1.Monitor/Call", `{"function":"public","args":"\"own\""}`); strings.Contains(body, "rpc_test.fail") {
		t.Errorf("the error names it: %s", body)
	}
}

// TestKeyThatIsNotThereAfterAChange: one request makes all its changes or none; once they are made, a key to read that is not there is left out.
func TestKeyThatIsNotThereAfterAChange(t *testing.T) {
	m := monitor.New(monitor.Options{})
	s := serveOn(t, listen(t), nil, rpc.WithMonitor(m))
	if status, body := post(t, s.addr+"/xme.v1.Monitor/Messages", `{"put":{"x":"1"},"keys":["nobody"]}`); status != http.StatusOK || body != "{}" {
		t.Error(status, body)
	}
	if status, body := post(t, s.addr+"/xme.v1.Monitor/Messages", `{"put":{"y":"1"},"delete":["nobody"],"keys":["x"]}`); status == http.StatusOK {
		t.Error(body)
	}
	if status, body := post(t, s.addr+"/xme.v1.Monitor/Messages", `{"put":{"x":"2"},"keys":["nobody"],"seal":true}`); status != http.StatusOK || body != "{}" {
		t.Error(status, body)
	}
	if n, err := m.Len(t.Context()); n != 1 || err != nil {
		t.Errorf("%d keys are there, %v", n, err)
	}
}

// TestRequestWithAnUnknownField: a field that a request does not have is a mistake to be told, not a call with a zero argument, or one without a mark.
func TestRequestWithAnUnknownField(t *testing.T) {
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(count, xme.Inline())})
	for _, body := range []string{`{"function":"count","arg":"\"unknown field\""}`, `{"function":"count","args":"\"\"","marks":{"number":"1"}}`} {
		if status, answer := post(t, s.addr+"/xme.v1.Monitor/Call", body); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
}

var blanks = xme.Register("blanks", func(_ context.Context, n int) ([]string, error) { return make([]string, n), nil })

// TestResultWithinTheLimitAsJSON: a result under Limits.Message is answered, also in JSON, where each quote in it takes two bytes. Or its error is the server's
// own, with a reason: one without a detail says that the call did not run.
func TestResultWithinTheLimitAsJSON(t *testing.T) {
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(blanks, xme.Inline())}, rpc.WithLimits(rpc.Limits{Message: 100000}))
	status, body := post(t, s.addr+"/xme.v1.Monitor/Call", `{"function":"blanks","args":"25000"}`) // 75,001 bytes
	if status != http.StatusOK && !strings.Contains(body, `"reason":"too_large"`) {
		t.Errorf("%d %.300s", status, body)
	}
}
