package rpc_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/xmetest"
)

// heap returns what is on the heap, in MiB.
func heap() int {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int(s.HeapAlloc >> 20)
}

// TestBodiesAreBounded: a server that runs one call at once does not hold a hundred requests of the largest size that do not end, of one connection.
func TestBodiesAreBounded(t *testing.T) {
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(echo, xme.Inline())}, rpc.WithLimits(rpc.Limits{Calls: 1, Slow: 20 * time.Second}))
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	tr := &http.Transport{Protocols: protocols(true)}
	defer tr.CloseIdleConnections()
	body := bytes.Repeat([]byte(" "), 4<<20-100)
	before, most := heap(), 0
	var mu sync.Mutex
	var written, all sync.WaitGroup
	for range 60 {
		r, w := io.Pipe()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.addr+"/xme.v1.Monitor/Call", r)
		is(t, err, nil)
		req.Header.Set("Content-Type", "application/json")
		all.Go(func() {
			if res, err := tr.RoundTrip(req); err == nil {
				_ = res.Body.Close()
			}
			_ = r.Close()
		})
		written.Go(func() {
			_, _ = w.Write(body) // and no end
			mu.Lock()
			defer mu.Unlock()
			most = max(most, heap()-before)
		})
	}
	written.Wait()
	cancel()
	all.Wait()
	if most > 160 {
		t.Errorf("%d MiB are held of requests that have not come in, for one call of 4 MiB at once", most)
	}
}

// TestUnreadStreamIsBounded: of a stream that is not read a server holds about as much as Limits.StreamBytes, not 64 times the largest result.
func TestUnreadStreamIsBounded(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(long, pool)}, rpc.WithLimits(rpc.Limits{StreamBytes: 1 << 20, Linger: time.Hour}), rpc.WithDrain(-1))
	base := s.addr + "/xme.v1.Monitor/"
	mark := hello(t, base)
	req := `{"function":"long","args":[` + strings.Repeat(`"3000000",`, 199) + `"1"],"mark":` + mark(1) + `}`
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"Stream", strings.NewReader(frame(req)))
	is(t, err, nil)
	r.Header.Set("Content-Type", "application/connect+json")
	least := heap()
	tr := &http.Transport{DisableKeepAlives: true, ReadBufferSize: 4096}
	res, err := tr.RoundTrip(r)
	is(t, err, nil)
	defer res.Body.Close()
	most, same := 0, 0
	for same < 100 && ctx.Err() == nil { // until it does not grow any more
		now := heap()
		if least = min(least, now); now-least > most {
			most, same = now-least, 0
		}
		same++
		<-time.After(10 * time.Millisecond)
	}
	if most > 32 {
		t.Errorf("%d MiB are held for one stream that is not read, and StreamBytes is 1 MiB", most)
	}
}

// TestAnswerIsBounded: what a client reads of an answer that does not end is bounded by about what a server's messages may be, also if it is an error.
func TestAnswerIsBounded(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		kind   string
	}{"answer": {http.StatusOK, "application/proto"}, "error": {http.StatusBadRequest, "application/json"}} {
		var sent atomic.Int64
		l := listen(t)
		block := bytes.Repeat([]byte("x"), 1<<20)
		hs := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", tc.kind)
			w.WriteHeader(tc.status)
			for range 200 {
				if _, err := w.Write(block); err != nil {
					return
				}
				sent.Add(1)
			}
		})}
		go func() { _ = hs.Serve(l) }()
		if c, err := rpc.Dial(limited(t), "http://"+l.Addr().String(), rpc.Plain(), rpc.WithRetry(0)); err == nil {
			_ = c.Close()
		}
		_ = hs.Close()
		if n := sent.Load(); n > 64 {
			t.Errorf("%s: the client read %d MiB of an answer to Hello", name, n)
		}
	}
}

// TestDialKnowsTheService: a server that answers Hello with nothing is none of this service's, and Dial says so.
func TestDialKnowsTheService(t *testing.T) {
	l := listen(t)
	hs := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "application/proto") })}
	go func() { _ = hs.Serve(l) }()
	defer hs.Close()
	c, err := rpc.Dial(limited(t), "http://"+l.Addr().String(), rpc.Plain(), rpc.WithRetry(0))
	if err == nil {
		_, err = rpc.Call[string, string](t.Context(), c, "echo", "x")
		t.Errorf("Dial took it for a server; a call of 3 bytes says: %v", err)
		_ = c.Close()
	}
}
