package rpc_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
)

// dialTLS calls a function of a server by TLS.
func dialTLS(ctx context.Context, addr string, o ...rpc.DialOption) error {
	c, err := rpc.Dial(ctx, "https://"+addr, o...)
	if err != nil {
		return err
	}
	defer c.Close()
	got, err := rpc.Call[int, int](ctx, c, "square", 7)
	if err == nil && got != 49 {
		err = fmt.Errorf("got %d", got)
	}
	return err
}

// limited bounds a test's wait against hanging.
func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// feature: N3
func TestTLS(t *testing.T) {
	ctx := limited(t)
	a, other := newAuthority(t), newAuthority(t)
	server := a.issue("server", 2, nil)
	server.Revoked = filepath.Join(a.dir, "revoked")
	must(t, os.WriteFile(server.Revoked, []byte("# none yet\nserial=0B  # eleven\n"), 0o600))
	addr := serve(t, rpc.WithTLS(load(t, server)))
	client := a.issue("client", 10, nil)
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	for name, tc := range map[string]struct {
		files rpc.TLSFiles
		want  string // part of the error; empty: none
	}{
		"valid":             {client, ""},
		"none":              {rpc.TLSFiles{CA: a.file}, "certificate"},
		"another authority": {func() rpc.TLSFiles { f := other.issue("client", 10, nil); f.CA = a.file; return f }(), "unknown certificate authority"},
		"expired":           {a.issue("expired", 12, expired), "expired"},
		"revoked":           {a.issue("revoked", 11, nil), "certificate"},
		"only for servers": {a.issue("serving", 13, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), "certificate"},
		"names nobody":             {a.issue("", 14, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }), "names nobody"},
		"trusts another authority": {func() rpc.TLSFiles { f := client; f.CA = other.file; return f }(), "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			err := dialTLS(ctx, addr, rpc.WithTLS(load(t, tc.files)))
			if tc.want == "" {
				must(t, err)
			} else if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	t.Run("without TLS", func(t *testing.T) {
		c, err := rpc.Dial(ctx, "http://"+addr, rpc.Plain())
		if err == nil {
			c.Close()
			t.Error("served")
		}
	})
	t.Run("TLS 1.2", func(t *testing.T) {
		config := &tls.Config{MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // what is refused
		c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", addr)
		if err == nil {
			c.Close()
			t.Error("an old version is taken")
		}
	})
}

// A certificate that is revoked, and a token that is taken out, are refused also on connections that are open.
func TestRevokedWhileConnected(t *testing.T) {
	ctx := limited(t)
	a := newAuthority(t)
	server := a.issue("server", 2, nil)
	server.Revoked = filepath.Join(a.dir, "revoked")
	must(t, os.WriteFile(server.Revoked, nil, 0o600))
	loaded := load(t, server)
	addr := serve(t, rpc.WithTLS(loaded))
	c, err := rpc.Dial(ctx, "https://"+addr, rpc.WithTLS(load(t, a.issue("client", 0xabc, nil))))
	must(t, err)
	defer c.Close()
	_, err = rpc.Call[int, int](ctx, c, "square", 7)
	must(t, err)

	must(t, os.WriteFile(server.Revoked, []byte("what is this?\n"), 0o600))
	if err := loaded.Reload(); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a malformed list: %v", err)
	}
	_, err = rpc.Call[int, int](ctx, c, "square", 7)
	must(t, err) // the last state holds

	must(t, os.WriteFile(server.Revoked, []byte("0A:BC\n"), 0o600))
	must(t, loaded.Reload())
	if _, err := rpc.Call[int, int](ctx, c, "square", 7); !errors.Is(err, rpc.ErrUnauthenticated) {
		t.Errorf("a revoked certificate: %v", err)
	}
}

// The list of revoked certificates is read again by itself.
func TestRevokedIsReadAgain(t *testing.T) {
	ctx := limited(t)
	a := newAuthority(t)
	server := a.issue("server", 2, nil)
	server.Revoked = filepath.Join(a.dir, "revoked")
	must(t, os.WriteFile(server.Revoked, nil, 0o600))
	addr := serve(t, rpc.WithTLS(load(t, server)))
	client := rpc.WithTLS(load(t, a.issue("client", 0xabc, nil)))
	must(t, dialTLS(ctx, addr, client))
	must(t, os.WriteFile(server.Revoked, []byte("abc\n"), 0o600))
	for dialTLS(ctx, addr, client, rpc.WithRetry(0)) == nil {
		if ctx.Err() != nil {
			t.Fatal("it is never read")
		}
	}
}

func TestLoadTLSNamesWhatIsWrong(t *testing.T) {
	a := newAuthority(t)
	good := a.issue("good", 2, nil)
	for name, tc := range map[string]struct {
		set  func(*rpc.TLSFiles)
		want string
	}{
		"no key":         {func(f *rpc.TLSFiles) { f.Key = "" }, "needs its key"},
		"another's key":  {func(f *rpc.TLSFiles) { f.Key = a.issue("other", 3, nil).Key }, "good.pem"},
		"missing":        {func(f *rpc.TLSFiles) { f.CA = filepath.Join(a.dir, "nowhere") }, "nowhere"},
		"no authority":   {func(f *rpc.TLSFiles) { f.CA = f.Key }, "no certificate"},
		"no such serial": {func(f *rpc.TLSFiles) { f.Revoked = f.Key }, "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := good
			tc.set(&f)
			if _, err := rpc.LoadTLS(f); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// feature: N3
func TestTokens(t *testing.T) {
	ctx := limited(t)
	file := filepath.Join(t.TempDir(), "tokens")
	text, line, err := rpc.NewToken("ann")
	must(t, err)
	guest, guestLine, err := rpc.NewToken("guest")
	must(t, err)
	if strings.Contains(line, text) {
		t.Error("the file would hold the token")
	}
	must(t, os.WriteFile(file, []byte("# who may call\n"+line+"\n"+guestLine+" # only to look\n"), 0o600))
	tokens, err := rpc.LoadTokens(file)
	must(t, err)
	addr := serve(t, rpc.Plain(), rpc.WithTokens(tokens), rpc.Allow("ann", rpc.Everything), rpc.Allow("guest", "double"))
	call := func(function string, o ...rpc.DialOption) error {
		c, err := rpc.Dial(ctx, "http://"+addr, append(o, rpc.Plain(), rpc.WithRetry(0))...)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = rpc.Call[int, int](ctx, c, function, 7)
		return err
	}
	must(t, call("square", rpc.WithToken(text)))
	must(t, call("double", rpc.WithToken(guest)))
	if err := call("square", rpc.WithToken(guest)); !errors.Is(err, rpc.ErrNotAllowed) {
		t.Errorf("what a guest may not: %v", err)
	}
	if err := call("square"); !errors.Is(err, rpc.ErrUnauthenticated) {
		t.Errorf("no token: %v", err)
	}
	if err := call("square", rpc.WithToken(text[:len(text)-1]+"_")); !errors.Is(err, rpc.ErrUnauthenticated) {
		t.Errorf("another token: %v", err)
	}
	c, err := rpc.Dial(ctx, "http://"+addr, rpc.WithToken(guest), rpc.Plain())
	must(t, err)
	defer c.Close()
	list, err := c.List(ctx)
	must(t, err)
	if len(list) != 1 || !strings.HasSuffix(list[0].Name, ".double") {
		t.Errorf("a guest is told of %v", list)
	}
	must(t, os.WriteFile(file, []byte(line+"\n"), 0o600))
	for {
		if _, err := rpc.Call[int, int](ctx, c, "double", 7); errors.Is(err, rpc.ErrUnauthenticated) {
			break
		} else if ctx.Err() != nil {
			t.Fatal("it is never read again")
		}
	}
}

// What a function may not be told by its name is not told by the error either: nobody learns what there is.
func TestUnknownAndNotAllowed(t *testing.T) {
	ctx := limited(t)
	addr := serve(t, rpc.Plain(), rpc.WithAuthorize(func(_ context.Context, _ rpc.Caller, function string) error {
		if strings.HasSuffix(function, ".square") {
			return errors.New("on Sundays only")
		}
		return nil
	}))
	c, err := rpc.Dial(ctx, "http://"+addr, rpc.Plain())
	must(t, err)
	defer c.Close()
	if _, err := rpc.Call[int, int](ctx, c, "square", 7); !errors.Is(err, rpc.ErrNotAllowed) || !strings.Contains(err.Error(), "Sundays") {
		t.Errorf("got %v", err)
	}
}

// A server that anybody could call by TLS is not served.
func TestServerKnowsItsClients(t *testing.T) {
	a := newAuthority(t)
	f := a.issue("server", 2, nil)
	f.CA = ""
	l := listen(t)
	if err := rpc.Serve(limited(t), l, nil, rpc.WithTLS(load(t, f))); err == nil || !strings.Contains(err.Error(), "anybody") {
		t.Errorf("got %v", err)
	}
}

// HTTP/2 is spoken where TLS is.
func TestHTTP2(t *testing.T) {
	ctx := limited(t)
	a := newAuthority(t)
	addr := serve(t, rpc.WithTLS(load(t, a.issue("server", 2, nil))))
	f := a.issue("client", 10, nil)
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	h := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}}}
	defer h.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+addr+"/xme.v1.Monitor/Call", strings.NewReader(`{"function":"square","args":"7"}`))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	answer, err := h.Do(r)
	must(t, err)
	defer answer.Body.Close()
	if answer.ProtoMajor != 2 || answer.StatusCode != http.StatusOK {
		t.Errorf("%s %s", answer.Proto, answer.Status)
	}
}

// serve serves square and double on a loopback address until the test ends.
func serve(t *testing.T, o ...rpc.ServeOption) (addr string) {
	t.Helper()
	l := listen(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- rpc.Serve(ctx, l, []rpc.Function{rpc.Export(square, xme.Inline()), rpc.Export(double, xme.Inline())}, o...)
	}()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
	return l.Addr().String()
}

var double = xme.Register("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
