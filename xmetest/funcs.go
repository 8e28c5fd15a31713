package xmetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/xenonmp/xme"
)

// errKnown keeps its identity on its way from a worker.
var errKnown = xme.RegisterError("github.com/xenonmp/xme/xmetest.errKnown", errors.New("a known error"))

// record has one field of most kinds that cross.
type record struct {
	Name  string
	N     int
	Xs    []float64
	Tags  map[string]string
	Next  *record
	Plain map[string]any
}

// seen is what a task sees of its surroundings.
type seen struct {
	Rank    int
	Seed    uint64
	Logger  bool
	Current bool
}

// The functions that Exercise calls. Being registered here, they are in every
// binary that links this package.
var (
	double = xme.Register("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

	echoRecord = xme.Register("echoRecord", func(_ context.Context, r record) (record, error) { return r, nil })

	echoBytes = xme.Register("echoBytes", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })

	fail = xme.Register("fail", func(_ context.Context, how string) (int, error) {
		switch how {
		case "":
			return 7, nil
		case "text":
			return 7, errors.New("plain text")
		case "known":
			return 7, fmt.Errorf("wrapped: %w", errKnown)
		case "eof":
			return 7, fmt.Errorf("wrapped: %w", io.EOF)
		case "panic":
			panic("on purpose")
		case "nilmap":
			var m map[string]int
			m["x"]++ //nolint:staticcheck // on purpose
		case "goexit":
			runtime.Goexit()
		}
		return 7, fmt.Errorf("fail does not know %q", how)
	})

	await = xme.Register("await", func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})

	look = xme.Register("look", func(ctx context.Context, _ int) (seen, error) {
		return seen{Rank: xme.Rank(ctx), Seed: xme.Seed(ctx), Logger: xme.Logger(ctx) != nil, Current: xme.Current(ctx) != nil}, nil
	})

	where = xme.Register("where", func(context.Context, int) (int, error) { return os.Getpid(), nil })

	nest = xme.Register("nest", func(ctx context.Context, n int) (int, error) {
		return double.Call(ctx, xme.Current(ctx), n)
	})
)
