package rpc

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
)

var large = xme.Register("large", func(_ context.Context, n int) (string, error) { return strings.Repeat("x", n), nil })

// TestHeldStream: a client that has read far ahead asks again and again for a stream that its loop does not take, reads no more of it, and loses none.
func TestHeldStream(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, []Function{Export(large, xme.Inline())}, Plain()) }()
	asked := make(chan struct{}, 1000)
	c, err := Dial(ctx, "http://"+l.Addr().String(), Plain(), dialFunc(func(o *dialOptions) {
		o.request = func(r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/Stream") {
				signal(asked)
			}
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Split(strings.Repeat("300000,", 20)+"1", ",")
	r := newReading(c, "large", args)
	r.held = 1 // at once
	go r.run(ctx)
	for range 40 { // more than it takes for all rows
		<-asked
	}
	r.mu.Lock()
	if r.bytes < mostAhead || r.bytes > mostAhead+400000 {
		t.Errorf("%d bytes are read ahead", r.bytes)
	}
	r.mu.Unlock()
	n := 0
	for list := r.next(); list != nil; list = r.next() {
		for _, row := range list {
			n++
			r.taken(row)
		}
	}
	if n != len(args) || r.err != nil {
		t.Errorf("%d rows, %v", n, r.err)
	}
	_ = c.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
