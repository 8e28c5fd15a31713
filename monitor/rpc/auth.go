package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Caller is who calls.
type Caller struct {
	// Name is that of its token, or its certificate's common name, or else its first DNS name, address or URI; empty: a server without TLS and tokens takes anybody.
	Name string
	// Serial is the serial number of its certificate in hexadecimal; empty: it has none.
	Serial string
}

// Names under which [Allow] and [WithAuthorize] have what is no function: reading a server's messages, and changing them.
const (
	ReadMessages  = "messages:read"
	WriteMessages = "messages:write"
)

// access decides who may call what.
type access struct {
	tls       *TLS
	tokens    *Tokens
	allowed   map[string]map[string]bool // caller -> functions; nil: all may call all
	authorize func(ctx context.Context, who Caller, function string) error
}

var (
	errNoToken  = errors.New("rpc: a token is needed: Authorization: Bearer TOKEN")
	errNobody   = errors.New("rpc: the certificate names nobody: it needs a common name or a subject alternative name")
	errNotGiven = errors.New("rpc: not allowed")
)

// authenticate says who has sent a request, or why that is not believed.
func (a *access) authenticate(r *http.Request) (c Caller, err error) {
	if a.tls != nil {
		if r.TLS == nil {
			return c, errors.New("rpc: the connection is not secured by TLS")
		}
		if a.tls.mutual() {
			if err := a.tls.check(r.TLS); err != nil { // it may have been revoked since the connection was made
				return c, err
			}
			if c, err = callerOf(r.TLS); err != nil {
				return c, err
			}
		}
	}
	if a.tokens == nil {
		return c, nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return c, errNoToken
	}
	c.Name, err = a.tokens.caller(strings.TrimSpace(token))
	return c, err
}

// callerOf is who a certificate names.
func callerOf(s *tls.ConnectionState) (c Caller, err error) {
	if len(s.PeerCertificates) == 0 {
		return c, errors.New("rpc: a certificate of the client's is needed")
	}
	leaf := s.PeerCertificates[0]
	c.Serial = leaf.SerialNumber.Text(16)
	switch {
	case leaf.Subject.CommonName != "":
		c.Name = leaf.Subject.CommonName
	case len(leaf.DNSNames) > 0:
		c.Name = leaf.DNSNames[0]
	case len(leaf.IPAddresses) > 0:
		c.Name = leaf.IPAddresses[0].String()
	case len(leaf.URIs) > 0:
		c.Name = leaf.URIs[0].String()
	default:
		return c, errNobody
	}
	return c, nil
}

// may says why a caller may not call a function, or use messages.
func (a *access) may(ctx context.Context, c Caller, function string) error {
	if a.allowed != nil && !a.allowed[c.Name][function] && !a.allowed[c.Name][Everything] && !a.allowed[Anybody][function] && !a.allowed[Anybody][Everything] {
		return fmt.Errorf("%w: %q may not use %s", errNotGiven, c.Name, function)
	}
	if a.authorize != nil {
		return a.authorize(ctx, c, function)
	}
	return nil
}

// Wildcards of [Allow].
const (
	Anybody    = "*" // any caller that the server knows
	Everything = "*" // all functions, and messages
)

// allow adds to what a caller may call.
func (a *access) allow(caller string, functions []string) {
	if a.allowed == nil {
		a.allowed = map[string]map[string]bool{}
	}
	if a.allowed[caller] == nil {
		a.allowed[caller] = map[string]bool{}
	}
	for _, f := range functions {
		a.allowed[caller][f] = true
	}
}

// check says what is missing for a server to be served on this kind of address.
func (a *access) check(secured bool) error {
	if secured && !a.tls.mutual() && a.tokens == nil {
		return errors.New("rpc: anybody could call: give the server an authority for the certificates of clients (TLSFiles.CA), or tokens (WithTokens), or both")
	}
	return nil
}
