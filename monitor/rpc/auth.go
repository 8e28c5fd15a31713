package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unique"
)

// Caller is who makes a call.
type Caller struct {
	// Name is that of the caller's token or the common name of its certificate, or else the
	// certificate's first DNS name, address or URI. It is empty on a server without TLS and tokens,
	// which accepts anybody.
	Name string
	// Serial is the serial number of its certificate in hexadecimal; empty: it has none.
	Serial string
}

// Names that [Allow] and [WithAuthorize] use for what is not a function: reading a server's
// messages, and changing them.
const (
	ReadMessages  = "messages:read"
	WriteMessages = "messages:write"
)

// access decides who may call what.
type access struct {
	tokens    *Tokens
	known     bool                       // WithTokens was given
	allowed   map[string]map[string]bool // caller -> functions; nil: all may call all
	authorize func(ctx context.Context, who Caller, function string) error
}

var (
	errNoToken  = errors.New("a token is needed: Authorization: Bearer TOKEN")
	errNobody   = errors.New("the certificate names nobody: it needs a common name or a subject alternative name")
	errNotGiven = errors.New("not allowed")
)

// authenticate says who has sent a request, or why that is not believed.
func (a *access) authenticate(r *http.Request, t *TLS) (c Caller, err error) {
	if t != nil && t.mutual() {
		if r.TLS == nil {
			return c, errors.New("the connection is not secured by TLS")
		}
		if err := t.check(r.TLS); err != nil { // it may have been revoked since the connection was made
			return c, err
		}
		if c, err = callerOf(r.TLS); err != nil {
			return c, err
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
		return c, errors.New("a certificate of the client's is needed")
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
	Anybody    = "*" // any caller known to the server
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

// resolve has Allow mean functions by their full names. The error names one that is not exported.
func (a *access) resolve(f *functions) error {
	for caller, all := range a.allowed {
		full := map[string]bool{}
		for name := range all {
			switch found := f.byName[name]; {
			case name == Everything || name == ReadMessages || name == WriteMessages:
				full[name] = true
			case found == nil:
				return fmt.Errorf("rpc: Allow(%q, %q): no such function is exported", caller, name)
			default:
				full[found.name] = true
			}
		}
		a.allowed[caller] = full
	}
	return nil
}

// check says what is missing for a server over TLS.
func (a *access) check(t *TLS) error {
	if !t.mutual() && a.tokens == nil {
		return errors.New("rpc: anybody could call: give the server an authority for the certificates of clients (TLSFiles.CA), or tokens (WithTokens), or both")
	}
	return nil
}

// WithTokens makes a server accept only requests with a token of t, in a header Authorization:
// Bearer, followed by the token. If clients must have certificates, both are needed, and the token
// says who calls.
func WithTokens(t *Tokens) ServeOption {
	return serveFunc(func(o *serveOptions) { o.access.tokens, o.access.known = t, true })
}

// Allow lets a caller, or [Anybody], call functions, read or change messages ([ReadMessages],
// [WriteMessages]), or use [Everything]. A server with at least one Allow refuses whatever none of
// them allows; one without lets all its callers use everything.
func Allow(caller string, functions ...string) ServeOption {
	return serveFunc(func(o *serveOptions) { o.access.allow(caller, functions) })
}

// WithAuthorize asks f about each call, in addition to what [Allow] says: an error refuses the
// call, and its text is sent to the caller. f is called concurrently. Its function is the full name
// of a function, [ReadMessages] or [WriteMessages].
func WithAuthorize(f func(ctx context.Context, who Caller, function string) error) ServeOption {
	return serveFunc(func(o *serveOptions) { o.access.authorize = f })
}

// WithToken sends a token made by [NewToken] with each request.
func WithToken(text string) DialOption {
	return dialFunc(func(o *dialOptions) { o.token = secret{unique.Make(text), true} })
}

// secret is a text that no verb of fmt shows: fields that are not exported are shown without asking their methods.
type secret struct {
	text  unique.Handle[string]
	given bool
}
