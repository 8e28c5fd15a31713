package rpc_test

import (
	"context"
	"errors"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
)

var errOwn = xme.RegisterError("rpc_test.errOwn", errors.New("no route"))

type point struct {
	X     int64  `json:"x"`
	Label string `json:"label"`
}

// Functions that any executor runs.
var (
	echo   = xme.Register("echo", func(_ context.Context, s string) (string, error) { return s, nil })
	shift  = xme.Register("shift", func(_ context.Context, p point) (point, error) { p.X++; return p, nil })
	mirror = xme.Register("mirror", func(_ context.Context, v any) (any, error) { return v, nil })
	kinds  = xme.Register("kinds", func(_ context.Context, v any) (string, error) {
		switch v.(type) {
		case int64:
			return "int64", nil
		case uint64:
			return "uint64", nil
		case float64:
			return "float64", nil
		}
		return "other", nil
	})
	root = xme.Register("root", func(_ context.Context, x float64) (float64, error) { return math.Sqrt(x), nil })
	long = xme.Register("long", func(_ context.Context, n int) (string, error) { return strings.Repeat("x", n), nil })
	fail = xme.Register("fail", func(_ context.Context, how string) (string, error) {
		switch how {
		case "own":
			return "", errOwn
		case "panic":
			panic("as asked")
		case "exit":
			os.Exit(3)
		case "kill":
			p, err := os.FindProcess(os.Getpid())
			if err != nil {
				return "", err
			}
			_ = p.Kill()
			select {}
		}
		return how, nil
	})
	nap = xme.Register("nap", func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }).With(xme.Timeout(50 * time.Millisecond))
)

// Functions of pools in this process: tests see what they do.
var (
	runs  sync.Map // *atomic.Int64 by argument: how often count ran with it
	count = xme.Register("count", func(_ context.Context, s string) (string, error) {
		n, _ := runs.LoadOrStore(s, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		return s, nil
	})
	gates sync.Map // *gate by name
	hold  = xme.Register("hold", func(ctx context.Context, name string) (string, error) {
		g := gateOf(name)
		g.begun <- struct{}{}
		select {
		case <-g.open:
			return name, nil
		case <-ctx.Done():
			g.ended <- context.Cause(ctx)
			return "", ctx.Err()
		}
	})
)

// gate holds the calls of hold.
type gate struct {
	begun chan struct{} // of each that begins
	open  chan struct{} // closed, it lets them end
	ended chan error    // of each whose context ended
}

// cancelled waits until the context of one of them has ended.
func (g *gate) cancelled(t testing.TB) {
	t.Helper()
	if <-g.ended == nil {
		t.Error("a context ended without a cause")
	}
}

func gateOf(name string) *gate {
	g, _ := gates.LoadOrStore(name, &gate{make(chan struct{}, 1000), make(chan struct{}), make(chan error, 1000)})
	return g.(*gate)
}

// ran returns how often count ran with s.
func ran(s string) int64 {
	n, ok := runs.Load(s)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}
