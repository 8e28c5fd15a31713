package main

import (
	"context"
	"os"
	"strings"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor"
)

// span is what primes looks at: the numbers from From up to To, without To.
type span struct{ From, To int }

// messages are the server's, in each worker.
var messages *monitor.Monitor

var (
	tell = xme.Register("tell", func(_ context.Context, m *monitor.Monitor) (_ struct{}, err error) {
		messages, err = m.Retain() // for the tasks that follow
		return struct{}{}, err
	})
	square = xme.Register("square", func(_ context.Context, n int64) (int64, error) { return n * n, nil })
	// primes counts them, and tells whoever watches how far it is.
	primes = xme.Register("primes", func(ctx context.Context, s span) (int, error) {
		count := 0
		for n := max(2, s.From); n < s.To && ctx.Err() == nil; n++ {
			if isPrime(n) {
				count++
			}
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return count, monitor.Set(ctx, messages, "last", map[string]any{"span": []int{s.From, s.To}, "primes": count})
	})
	// crash shows that a function costs the server a worker at most.
	crash = xme.Register("crash", func(context.Context, struct{}) (struct{}, error) {
		os.Exit(3)
		return struct{}{}, nil
	})
)

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}

// readKey reads a key from a file; without a file there is none.
func readKey(file string) (*monitor.Keys, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := monitor.ParseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, err
	}
	return monitor.NewKeys(key), nil
}
