package main

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
)

// arguments are a call's: args and kwargs of the original.
type arguments struct {
	Args   []float64
	Kwargs map[string]float64
}

// The functions that others may call; they run in processes of their own.
var (
	add  = xme.Register("add", func(_ context.Context, a arguments) (float64, error) { return fold(a, 0, plus), nil })
	mul  = xme.Register("mul", func(_ context.Context, a arguments) (float64, error) { return fold(a, 1, times), nil })
	fail = xme.Register("fail", func(context.Context, arguments) (float64, error) { panic("a mistake of the server's") })
)

func plus(a, b float64) float64 { return a + b }

func times(a, b float64) float64 { return a * b }

func fold(a arguments, v float64, f func(a, b float64) float64) float64 {
	for _, n := range a.Args {
		v = f(v, n)
	}
	for _, n := range a.Kwargs {
		v = f(v, n)
	}
	return v
}

// serve serves until ctx ends.
func serve(ctx context.Context, at string) error {
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		return err
	}
	defer pool.Close()
	path, ok := strings.CutPrefix(at, "unix:")
	if !ok {
		return fmt.Errorf("%s: want unix: and a path", at)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	functions := []rpc.Function{rpc.Export(add, pool), rpc.Export(mul, pool), rpc.Export(fail, pool)}
	return rpc.Serve(ctx, l, functions, rpc.Plain())
}
