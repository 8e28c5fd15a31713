// Fib is a function that calls itself: declared first and registered in func init, because a package-level
// var fib = xme.Register(…) whose function names fib would be an initialisation cycle. It makes its calls on the
// executor that runs it, xme.Current.
//
// It runs on xme.Inline, the executor for debugging, which runs nested calls in the caller's place; with -p in a pool
// of that many workers, where a task that waits for its calls lends its place to them. Then every call that waits, and
// there are about n of them down a branch, has its own process.
//
//	go run ./examples/fib -n 15
//	go run ./examples/fib -n 10 -p 2
//
// feature: S1, S7, U7
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
)

var fib *xme.Func[int, int]

func init() {
	fib = xme.Register("fib", func(ctx context.Context, n int) (int, error) {
		if n < 2 {
			return n, nil
		}
		here := xme.Current(ctx)
		first := fib.Go(ctx, here, n-1) // beside the next call, where the executor has room
		second, err := fib.Call(ctx, here, n-2)
		if err != nil {
			return 0, err
		}
		sum, err := first.Wait(ctx)
		return sum + second, err
	})
}

func main() {
	xme.Init()
	n := flag.Int("n", 15, "which number, 0 to 25")
	p := flag.Int("p", 0, "`workers` of a pool; 0: in this process")
	flag.Parse()
	if err := run(*n, *p, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "fib:", err)
		os.Exit(1)
	}
}

func run(n, p int, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q, see -h", rest[0])
	case n < 0 || n > 25:
		return fmt.Errorf("-n %d: give 0 to 25, each number takes as many calls as it is large", n)
	}
	ctx, on := context.Background(), xme.Inline()
	if p != 0 {
		pool, err := xme.Open(ctx, xme.Options{Workers: p, MaxProcesses: 4*max(p, 0) + 4*n + 8})
		if err != nil {
			return err
		}
		defer pool.Close()
		on = pool
	}
	value, err := fib.Call(ctx, on, n)
	if err != nil {
		return err
	}
	fmt.Printf("fib(%d) = %d\n", n, value)
	return nil
}
