package rpc_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/xenonmp/xme/monitor/rpc"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.buf.String(), text)
}

// TestBrokenListIsTold: a list of revoked certificates that cannot be read any more leaves its certificates valid. WithLogger has what goes wrong.
func TestBrokenListIsTold(t *testing.T) {
	ctx := limited(t)
	a := newAuthority(t)
	server := a.issue("server", 2, nil)
	server.Revoked = filepath.Join(a.dir, "revoked")
	must(t, os.WriteFile(server.Revoked, nil, 0o600))
	loaded := load(t, server)
	log := &lines{}
	addr := serve(t, rpc.WithTLS(loaded), rpc.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
	client := rpc.WithTLS(load(t, a.issue("client", 0xabc, nil)))
	must(t, os.WriteFile(server.Revoked, []byte("abc\nthe one of the lost laptop\n"), 0o600))
	for loaded.Err() == nil && ctx.Err() == nil {
		_ = dialTLS(ctx, addr, client, rpc.WithRetry(0))
	}
	_ = dialTLS(ctx, addr, client, rpc.WithRetry(0))
	if !log.has("revoked") {
		t.Error("the list is not read any more, a certificate in it is taken, and the log says nothing")
	}
}

// TestUnknownAuthorityIsToldAtOnce: a server whose certificate the system does not know is refused as one that WithTLS does not know: another attempt
// would not change it, and it is not that nobody answers.
func TestUnknownAuthorityIsToldAtOnce(t *testing.T) {
	a := newAuthority(t)
	addr := serve(t, rpc.WithTLS(load(t, a.issue("server", 2, nil))))
	_, err := rpc.Dial(limited(t), "https://"+addr, rpc.WithToken("xmet1.x"), rpc.WithRetry(0))
	is(t, err, rpc.ErrUnauthenticated)
}
