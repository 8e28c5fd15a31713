package rpc_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
	"google.golang.org/protobuf/proto"
)

// TestCallWhileServerIsDown: "A call that had not been sent before goes on in a new session by itself." One that found nobody to send it to had not been sent.
func TestCallWhileServerIsDown(t *testing.T) {
	l := listen(t)
	funcs := []rpc.Function{rpc.Export(count, xme.Inline())}
	s := serveOn(t, l, funcs)
	c := dial(t, s.addr)
	_, err := rpc.Call[string, string](t.Context(), c, "count", "before it went down")
	is(t, err, nil)
	is(t, s.stop(), nil)
	if _, err := rpc.Dial(t.Context(), s.addr, rpc.Plain(), rpc.WithRetry(0)); !errors.Is(err, rpc.ErrLost) {
		t.Skip("something else listens there now")
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = c.List(short) // finds the connection closed; what is written to one that may have been read
	is(t, err, context.DeadlineExceeded)
	ended := make(chan error, 1)
	go func() {
		_, err := rpc.Call[string, string](limited(t), c, "count", "while it is down")
		ended <- err
	}()
	<-time.After(100 * time.Millisecond) // it is refused some times
	again, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Skip(err)
	}
	serveOn(t, again, funcs)
	if err := <-ended; err != nil {
		t.Errorf("it ran %d times, and nothing had reached a server before: %v", ran("while it is down"), err)
	}
}

// TestCallWhileServerDrains: "draining" says that the call did not run and to try again, since another server may take this one's place. It does.
func TestCallWhileServerDrains(t *testing.T) {
	funcs := []rpc.Function{rpc.Export(count, xme.Inline())}
	old, _, err := rpc.Handler(funcs, rpc.Plain())
	is(t, err, nil)
	next, _, err := rpc.Handler(funcs, rpc.Plain())
	is(t, err, nil)
	failure, err := proto.Marshal(&xmev1.Failure{Code: "unavailable", Reason: "draining", Message: "the server is ending"})
	is(t, err, nil)
	var ends atomic.Bool
	l := listen(t)
	hs := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case ends.Load():
			next.ServeHTTP(w, r)
		case strings.HasSuffix(r.URL.Path, "/Call"):
			ends.Store(true)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintf(w, `{"code":"unavailable","message":"the server is ending","details":[{"type":"xme.v1.Failure","value":%q}]}`, base64.RawStdEncoding.EncodeToString(failure))
		default:
			old.ServeHTTP(w, r)
		}
	})}
	go func() { _ = hs.Serve(l) }()
	defer hs.Close()
	c := dial(t, "http://"+l.Addr().String())
	if _, err := rpc.Call[string, string](limited(t), c, "count", "while it drains"); err != nil {
		t.Errorf("it ran %d times, and the first server had said that it did not run: %v", ran("while it drains"), err)
	}
}

// TestPythonSendsAgain: the client in Python sends a call again whose answer was cut short, as one whose connection was closed before it.
func TestPythonSendsAgain(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip(err)
	}
	var calls atomic.Int64
	l := listen(t)
	hs := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		answer := `{"life":"l","session":"s"}`
		if strings.HasSuffix(r.URL.Path, "/Call") {
			answer = `{"result":"49"}`
			if calls.Add(1) == 1 {
				w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
				answer = answer[:5] // the server closes the connection of an answer that is too short
			}
		}
		_, _ = io.WriteString(w, answer)
	})}
	go func() { _ = hs.Serve(l) }()
	defer hs.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, "../../examples/rpc/client.py", "http://"+l.Addr().String(), "call", "square", "7").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "49" {
		t.Errorf("%v after %d calls: %s", err, calls.Load(), out)
	}
}
