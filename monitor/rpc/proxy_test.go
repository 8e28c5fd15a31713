package rpc_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/xmetest"
)

// proxy carries connections to a server, and cuts them after a number of bytes of its own in each direction: some by a reset, some after a while in
// which nothing moves.
type proxy struct {
	to   string
	l    net.Listener
	most int // bytes that a connection carries in one direction; 0: no bound
	cuts atomic.Int64

	mu    sync.Mutex
	rand  *rand.Rand
	conns map[net.Conn]struct{}
	ended bool
	wg    sync.WaitGroup
}

func newProxy(t testing.TB, to string, seed uint64, most int) *proxy {
	t.Helper()
	p := &proxy{to: to, l: listen(t), most: most, rand: rand.New(rand.NewPCG(seed, 1)), conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = p.l.Close()
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return "http://" + p.l.Addr().String() }

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) accept() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		out, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		if p.ended {
			_, _ = in.Close(), out.Close()
			p.mu.Unlock()
			return
		}
		p.conns[in], p.conns[out] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.wg.Go(func() { p.carry(in, out) })
		p.wg.Go(func() { p.carry(out, in) })
	}
}

// carry copies one direction.
func (p *proxy) carry(from, to net.Conn) {
	p.mu.Lock()
	left, reset, pause := 1<<60, p.rand.IntN(2) == 0, p.rand.IntN(4) == 0
	if p.most > 0 {
		left = p.rand.IntN(p.most)
	}
	p.mu.Unlock()
	n, _ := io.CopyN(to, from, int64(left))
	if n == int64(left) {
		p.cuts.Add(1)
		if pause {
			<-time.After(5 * time.Millisecond)
		}
		if c, ok := to.(*net.TCPConn); ok && reset {
			_ = c.SetLinger(0)
		}
	}
	_, _ = to.Close(), from.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, from)
	delete(p.conns, to)
}

// feature: N3
func TestAtMostOnce(t *testing.T) {
	for name, proto := range map[string]rpc.DialOption{"h1": rpc.HTTP1(), "h2": rpc.HTTP2()} {
		t.Run(name, func(t *testing.T) {
			pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
			l := listen(t)
			serveOn(t, l, []rpc.Function{rpc.Export(count, pool)})
			p := newProxy(t, l.Addr().String(), 7, 2500)
			var wg sync.WaitGroup
			for i := range 8 {
				c := dial(t, p.addr(), proto)
				wg.Go(func() {
					for j := range 100 {
						arg := fmt.Sprint(name, i, "/", j)
						out, err := rpc.Call[string, string](t.Context(), c, "count", arg)
						if err != nil || out != arg {
							t.Errorf("%s: %q, %v", arg, out, err)
						}
						if n := ran(arg); n != 1 {
							t.Errorf("%s ran %d times", arg, n)
						}
					}
				})
			}
			wg.Wait()
			if n := p.cuts.Load(); n < 50 {
				t.Errorf("the proxy cut %d times only", n)
			}
		})
	}
}

// feature: N3
func TestStreamResumes(t *testing.T) {
	for name, proto := range map[string]rpc.DialOption{"h1": rpc.HTTP1(), "h2": rpc.HTTP2()} {
		t.Run(name, func(t *testing.T) {
			pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
			l := listen(t)
			serveOn(t, l, []rpc.Function{rpc.Export(count, pool)}, rpc.WithLimits(rpc.Limits{StreamBytes: 20000, Streams: 8}))
			p := newProxy(t, l.Addr().String(), 9, 30000)
			c := dial(t, p.addr(), proto)
			in := make([]string, 1000)
			for i := range in {
				in[i] = fmt.Sprint("stream ", name, i)
			}
			seen := make([]int, len(in))
			for r := range rpc.Stream[string, string](t.Context(), c, "count", in) {
				if r.Err != nil || r.Value != in[r.Index] {
					t.Fatal(r)
				}
				seen[r.Index]++
			}
			for i, n := range seen {
				if n != 1 || ran(in[i]) != 1 {
					t.Fatalf("row %d came %d times and ran %d times", i, n, ran(in[i]))
				}
			}
			if p.cuts.Load() == 0 {
				t.Error("the proxy did not cut")
			}
		})
	}
}
