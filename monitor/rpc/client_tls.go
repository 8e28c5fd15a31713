package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
)

// securedConn is a connection with TLS.
type securedConn struct {
	*tls.Conn
	raw *trackedConn
}

// dialTLS has t make connections to host with the files as they are at that moment.
func (c *Client) dialTLS(t *http.Transport, host string) {
	t.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		raw, err := t.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(raw, c.tls.clientConfig(host))
		ctx, cancel := context.WithTimeout(ctx, t.TLSHandshakeTimeout)
		defer cancel()
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		c.secured.Store(&securedConn{conn, raw.(*trackedConn)})
		return conn, nil // the transport looks for HTTP/2 in a *tls.Conn only
	}
}

// unknownServer makes what is wrong with a server's certificate an error that another attempt would not change.
func unknownServer(err error) error {
	var invalid *tls.CertificateVerificationError
	if !errors.As(err, &invalid) && !errors.Is(err, errRevoked) && !errors.Is(err, errExpired) {
		return err
	}
	return &Error{Code: "unauthenticated", Message: "the server is not known: " + err.Error(), kind: ErrUnauthenticated, err: err}
}

// refused returns why the server has ended a connection, if it said so. In TLS 1.3 a client has finished its handshake before the server looks at its
// certificate: the refusal comes with what is read next.
func (c *Client) refused(err error) error {
	conn := c.secured.Load()
	if conn == nil || !conn.raw.closed.Load() { // what an open one reads is the transport's
		return err
	}
	c.secured.CompareAndSwap(conn, nil) // it says so once: what fails next has another reason
	var buf [1]byte
	_, why := conn.Read(buf[:])
	var said *net.OpError
	if !errors.As(why, &said) || said.Op != "remote error" {
		return err
	}
	return &Error{Code: "unauthenticated", Message: "the server refuses the connection: " + said.Err.Error(), kind: ErrUnauthenticated, err: err}
}
