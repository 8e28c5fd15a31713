package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// faultProxy passes connections on to a server, and hurts them at random points: it cuts them off (with a reset, or as if the other side had ended), loses the
// end of what it has read before it cuts, holds bytes back, or holds a connection still before it cuts it.
type faultProxy struct {
	l       net.Listener
	network string
	target  string
	mean    int // bytes between two faults of a connection, on average

	conns, cut, truncated, delayed, stalled atomic.Int64

	mu   sync.Mutex
	rand *rand.Rand
	open map[net.Conn]bool
	all  sync.WaitGroup
}

// newProxy listens on loopback, until stop is called.
func newProxy(ctx context.Context, network, target string, mean int, seed uint64) (p *faultProxy, stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	p = &faultProxy{l: l, network: network, target: target, mean: mean, rand: rand.New(rand.NewPCG(seed, 1)), open: map[net.Conn]bool{}}
	p.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.pass(ctx, c) })
		}
	})
	return p, func() {
		_ = l.Close()
		p.mu.Lock()
		for c := range p.open {
			_ = c.Close()
		}
		p.open = nil
		p.mu.Unlock()
		p.all.Wait()
	}, nil
}

// pass connects a client with the server.
func (p *faultProxy) pass(ctx context.Context, client net.Conn) {
	p.conns.Add(1)
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(ctx, p.network, p.target)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.keep(client, server) {
		return
	}
	defer p.drop(client, server)
	var both sync.WaitGroup
	both.Go(func() { p.copy(server, client) })
	both.Go(func() { p.copy(client, server) })
	both.Wait()
}

func (p *faultProxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		return false
	}
	for _, c := range conns {
		p.open[c] = true
	}
	return true
}

func (p *faultProxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.open, c)
	}
}

// fault is what happens to a connection.
type fault int

const (
	faultReset fault = iota
	faultEnd
	faultTruncate
	faultDelay
	faultStall
	faults
)

// next says after how many bytes what happens, and how long that takes.
func (p *faultProxy) next() (after int, f fault, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f = fault(p.rand.IntN(int(faults)))
	d = time.Duration(p.rand.ExpFloat64() * float64(2*time.Millisecond))
	if f == faultStall {
		d = time.Duration(p.rand.ExpFloat64() * float64(100*time.Millisecond))
	}
	return int(p.rand.ExpFloat64() * float64(p.mean)), f, min(d, time.Second)
}

// copy copies one direction, until either side ends or a fault does.
func (p *faultProxy) copy(to, from net.Conn) {
	buf := make([]byte, 4096)
	left, f, d := p.next()
	for {
		n, err := from.Read(buf)
		part := buf[:n]
		for len(part) > left {
			switch f {
			case faultTruncate:
				p.truncated.Add(1)
				p.cutOff(to, from, false) // what was read goes with it
				return
			case faultReset, faultEnd:
				_, _ = to.Write(part[:left])
				p.cut.Add(1)
				p.cutOff(to, from, f == faultReset)
				return
			case faultStall:
				_, _ = to.Write(part[:left])
				p.stalled.Add(1)
				<-time.After(d)
				p.cutOff(to, from, false)
				return
			}
			p.delayed.Add(1)
			if _, err := to.Write(part[:left]); err != nil {
				break
			}
			part = part[left:]
			<-time.After(d)
			left, f, d = p.next()
		}
		left -= len(part)
		if _, werr := to.Write(part); werr != nil || err != nil {
			if c, ok := to.(interface{ CloseWrite() error }); ok && errors.Is(err, io.EOF) {
				_ = c.CloseWrite()
			} else {
				p.cutOff(to, from, false)
			}
			return
		}
	}
}

// cutOff ends both sides, by a reset if asked.
func (p *faultProxy) cutOff(to, from net.Conn, reset bool) {
	for _, c := range []net.Conn{to, from} {
		if t, ok := c.(*net.TCPConn); ok && reset {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
	}
}
