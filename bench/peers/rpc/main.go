// Command rpc measures a call over loopback TCP, client and server in one process, without TLS: of package rpc, inline and by a pool of two workers, beside a bare connect-go
// handler, grpc-go and net/rpc, which send back what they get. It prints a table in markdown: the time of one call after the other, and calls a second with 64
// in flight; medians of five rounds in turn, and their range.
//
//	cd bench/peers/rpc && go run .
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
)

// letter is what is sent.
const letter = "sixteen letters."

// peer is what is measured.
type peer struct {
	name string
	open func(ctx context.Context) (call func(context.Context) (string, error), end func(), err error)
}

const rounds = 5

func main() {
	xme.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "rpc:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	peers := []peer{
		{"connect-go, HTTP/2", connectPeer(true)},
		{"connect-go, HTTP/1.1", connectPeer(false)},
		{"grpc-go", grpcPeer},
		{"net/rpc (gob)", netPeer},
		{"xme, the function inline", xmePeer(xme.Inline())},
		{"xme, the function in a pool", xmePeer(pool)},
	}
	var calls []func(context.Context) (string, error)
	for _, p := range peers {
		call, end, err := p.open(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		defer end()
		calls = append(calls, call)
	}
	one, many := make([][]float64, len(peers)), make([][]float64, len(peers))
	for round := range rounds + 1 {
		for i, call := range calls {
			for n, all := range map[int][][]float64{1: one, 64: many} {
				t, err := measure(ctx, n, call)
				if err != nil {
					return fmt.Errorf("%s: %w", peers[i].name, err)
				}
				if round > 0 { // the first warms up
					all[i] = append(all[i], t)
				}
			}
		}
	}
	fmt.Println("| what | one after the other | 64 in flight |\n|---|---|---|")
	for i, p := range peers {
		slices.Sort(one[i])
		slices.Sort(many[i])
		fmt.Printf("| %s | %.0f µs (%.0f..%.0f) | %.1f k/s (%.1f..%.1f) |\n", p.name, one[i][rounds/2]*1e6, one[i][0]*1e6, one[i][rounds-1]*1e6,
			1e-3/many[i][rounds/2], 1e-3/many[i][rounds-1], 1e-3/many[i][0])
	}
	return nil
}

// measure calls for half a second on n goroutines, back to back on each, and returns seconds for each call.
func measure(ctx context.Context, n int, call func(context.Context) (string, error)) (float64, error) {
	var made atomic.Int64
	errs := make(chan error, n)
	begin := time.Now()
	for range n {
		go func() {
			for time.Since(begin) < 500*time.Millisecond {
				got, err := call(ctx)
				if err == nil && got != letter {
					err = fmt.Errorf("%q came back", got)
				}
				if err != nil {
					errs <- err
					return
				}
				made.Add(1)
			}
			errs <- nil
		}()
	}
	var err error
	for range n {
		err = errors.Join(err, <-errs)
	}
	return time.Since(begin).Seconds() / float64(max(1, made.Load())), err
}
