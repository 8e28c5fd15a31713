package rpc

import (
	"net"
	"sync"
	"sync/atomic"
)

// limited is a listener that closes connections above its limit at once: a client sees that sooner than one that waits, and tries again later.
type limited struct {
	net.Listener
	most    int64
	open    atomic.Int64
	refused func()
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.most {
			return &limitedConn{Conn: c, l: l}, nil
		}
		l.open.Add(-1)
		_ = c.Close()
		l.refused()
	}
}

type limitedConn struct {
	net.Conn
	l    *limited
	once sync.Once
	err  error
}

func (c *limitedConn) Close() error {
	c.once.Do(func() {
		c.err = c.Conn.Close()
		c.l.open.Add(-1)
	})
	return c.err
}

// loopback reports whether only this machine reaches what listens at a.
func loopback(a net.Addr) bool {
	switch a := a.(type) {
	case *net.UnixAddr:
		return true
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	}
	return false
}
