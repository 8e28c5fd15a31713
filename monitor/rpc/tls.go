package rpc

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// TLSFiles names the files, in PEM form, by which a server or a client identifies itself.
type TLSFiles struct {
	Cert string // this side's certificate, with those between it and its authority; a client may have none
	Key  string // its private key
	CA   string // authorities accepted for the other side's certificate; a server without it takes clients without certificates, which then need tokens; a client without it uses the system's
	// Revoked holds the serial numbers of certificates that are no longer valid, in hexadecimal,
	// one per line; what follows a # is ignored.
	Revoked string
}

// TLS is what a server or client needs for TLS 1.3, read from files by [LoadTLS]. When a connection
// is made, but at most once a second, all of the files are checked again, and read if they have
// changed; a server refuses the next request of a caller whose certificate is revoked, even on an
// open connection. If a file cannot be read, the last state remains, and [TLS.Err] returns the
// error. A TLS may be used by any number of servers and clients.
type TLS struct {
	of    TLSFiles
	files reloader[tlsState]
}

// tlsState is what the files said when they were read.
type tlsState struct {
	cert    *tls.Certificate
	ca      *x509.CertPool
	revoked map[string]bool // by serial number in decimal
}

// LoadTLS reads the files. The error names the file and what is wrong with it.
func LoadTLS(files TLSFiles) (*TLS, error) {
	if (files.Cert == "") != (files.Key == "") {
		return nil, errors.New("rpc: a certificate needs its key, and a key its certificate: give both TLSFiles.Cert and Key")
	}
	t := &TLS{of: files, files: reloader[tlsState]{files: []string{files.Cert, files.Key, files.CA, files.Revoked}, read: files.read}}
	if err := t.files.load(); err != nil {
		return nil, err
	}
	return t, nil
}

// Reload reads all files together. If that fails, everything stays as it was.
func (t *TLS) Reload() error { return t.files.load() }

// Err returns why the files could not be read after their last change; nil: they could.
func (t *TLS) Err() error { return t.files.err() }

func (f TLSFiles) read() (*tlsState, error) {
	s := &tlsState{}
	if f.Cert != "" {
		cert, err := readFile(f.Cert)
		if err != nil {
			return nil, err
		}
		key, err := readFile(f.Key)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("rpc: %s with %s: %w", f.Cert, f.Key, err)
		}
		s.cert = &pair
	}
	if f.CA != "" {
		text, err := readFile(f.CA)
		if err != nil {
			return nil, err
		}
		s.ca = x509.NewCertPool()
		if !s.ca.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("rpc: %s holds no certificate in PEM form", f.CA)
		}
	}
	if f.Revoked != "" {
		text, err := readFile(f.Revoked)
		if err != nil {
			return nil, err
		}
		if s.revoked, err = readSerials(text); err != nil {
			return nil, fmt.Errorf("rpc: %s: %w", f.Revoked, err)
		}
	}
	return s, nil
}

// readSerials reads serial numbers as openssl x509 -serial prints them, with or without "serial=" and colons.
func readSerials(text []byte) (map[string]bool, error) {
	all := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		line = strings.TrimPrefix(strings.TrimSpace(line), "serial=")
		if line == "" {
			continue
		}
		serial, ok := new(big.Int).SetString(strings.TrimPrefix(strings.ReplaceAll(line, ":", ""), "0x"), 16)
		if !ok {
			return nil, fmt.Errorf("line %d: %q is no serial number in hexadecimal", n, line)
		}
		all[serial.String()] = true
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return all, nil
}

// Errors of certificates.
var (
	errRevoked = errors.New("the certificate is revoked")
	errExpired = errors.New("the certificate has expired")
)

// check says what is wrong with the other side's certificates now, when a connection is made and later.
func (s *tlsState) check(c *tls.ConnectionState, now time.Time) error {
	if len(c.VerifiedChains) == 0 {
		for _, cert := range c.PeerCertificates {
			if s.revoked[cert.SerialNumber.String()] {
				return fmt.Errorf("rpc: certificate %x of %s: %w", cert.SerialNumber, cert.Subject, errRevoked)
			}
		}
		return nil
	}
	var why error
	for _, chain := range c.VerifiedChains { // one that holds is enough
		if why = s.checkChain(chain, now); why == nil {
			return nil
		}
	}
	return why
}

func (s *tlsState) checkChain(chain []*x509.Certificate, now time.Time) error {
	for _, cert := range chain {
		switch {
		case s.revoked[cert.SerialNumber.String()]:
			return fmt.Errorf("rpc: certificate %x of %s: %w", cert.SerialNumber, cert.Subject, errRevoked)
		case now.After(cert.NotAfter):
			return fmt.Errorf("rpc: certificate %x of %s: %w", cert.SerialNumber, cert.Subject, errExpired)
		}
	}
	return nil
}

// check is tlsState.check of what holds now.
func (t *TLS) check(c *tls.ConnectionState) error { return t.files.current().check(c, time.Now()) }

// mutual reports whether clients must have certificates.
func (t *TLS) mutual() bool { return t.of.CA != "" }

// serverConfig is a server's; the error says what is missing.
func (t *TLS) serverConfig() (*tls.Config, error) {
	if t.of.Cert == "" {
		return nil, errors.New("rpc: a server needs a certificate and its key: TLSFiles.Cert and Key")
	}
	base := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}}
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		s := t.files.current()
		c := &tls.Config{
			MinVersion: tls.VersionTLS13, NextProtos: base.NextProtos, Certificates: []tls.Certificate{*s.cert},
			SessionTicketsDisabled: true, // each connection shows its certificate anew
			VerifyConnection:       func(c tls.ConnectionState) error { return s.check(&c, time.Now()) },
		}
		if t.mutual() {
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, s.ca
		}
		return c, nil
	}
	return base, nil
}

// clientConfig is that of one connection of a client's to a server of this name.
func (t *TLS) clientConfig(host string) *tls.Config {
	s := t.files.current()
	c := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}, ServerName: host, RootCAs: s.ca,
		VerifyConnection: func(c tls.ConnectionState) error { return s.check(&c, time.Now()) },
	}
	if s.cert != nil {
		c.Certificates = []tls.Certificate{*s.cert}
	}
	return c
}
