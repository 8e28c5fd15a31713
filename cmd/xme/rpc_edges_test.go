package main

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/monitor/rpc"
)

// TestStreamWaitingForInputEnds: --timeout and Ctrl-C, which end the same context, end a stream that waits for its standard input too.
func TestStreamWaitingForInputEnds(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(ctx, l, nil, rpc.Plain()) }()
	defer func() { cancel(); _ = <-served }()
	in, typed, err := os.Pipe() // of which nobody types anything
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer func(f *os.File) { os.Stdin = f }(os.Stdin)
	os.Stdin = in
	ended := make(chan error, 1)
	go func() {
		ended <- run(t.Context(), []string{"rpc", "call", "http://" + l.Addr().String(), "echo", "--stream", "--timeout=100ms"}, io.Discard)
	}()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ended without an error")
		}
		_ = typed.Close()
	case <-time.After(2 * time.Minute):
		t.Error("it waits for its input for ever")
		_ = typed.Close()
		_ = <-ended
	}
}

// TestInputIsWhole: what is longer than may be is refused, not cut, also where the cut would be well-formed.
func TestInputIsWhole(t *testing.T) {
	const text = "1\n2345\n"
	for most, ok := range map[int64]bool{int64(len(text)): true, int64(len(text)) - 1: false, 4: false, 2: false} {
		got, err := readInput(strings.NewReader(text), most)
		if ok != (err == nil) || ok && string(got) != text {
			t.Errorf("%d bytes at most: %q, %v", most, got, err)
		}
	}
}
