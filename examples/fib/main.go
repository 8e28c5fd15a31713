// Fib is a function that calls itself: declared first and registered in func init, because a package-level
// var fib = xme.Register(…) whose function names fib would be an initialisation cycle. It makes its calls on the
// executor that runs it, xme.Current.
//
// It runs on xme.Inline, the executor for debugging, which runs nested calls in the caller's place. A pool refuses
// them so far, with an error that wraps errors.ErrUnsupported.
//
//	go run ./examples/fib -n 15
//
// feature: S1, S7
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
	flag.Parse()
	if err := run(*n, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "fib:", err)
		os.Exit(1)
	}
}

func run(n int, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q, see -h", rest[0])
	case n < 0 || n > 25:
		return fmt.Errorf("-n %d: give 0 to 25, each number takes as many calls as it is large", n)
	}
	value, err := fib.Call(context.Background(), xme.Inline(), n)
	if err != nil {
		return err
	}
	fmt.Printf("fib(%d) = %d\n", n, value)
	return nil
}
