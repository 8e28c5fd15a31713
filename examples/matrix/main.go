// Matrix multiplies two matrices that lie in shared memory: each call fills some rows of the product in place, nothing
// is copied. The same is done by goroutines, by turns, and by one loop, which the results must equal.
//
//	go run ./examples/matrix -n 2048 -p 2
//
// feature: M1
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"

	"github.com/xenonmp/xme"
)

func main() {
	xme.Init()
	n := flag.Int("n", 2048, "`rows` and columns")
	p := flag.Int("p", runtime.GOMAXPROCS(0), "`workers`, and goroutines")
	rounds := flag.Int("rounds", 3, "how often each way, by turns")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	case *n < 1 || *n > 1<<15 || *p < 1 || *rounds < 1:
		err = fmt.Errorf("-n %d -p %d -rounds %d: all are 1 or more, n at most %d", *n, *p, *rounds, 1<<15)
	default:
		err = run(context.Background(), *n, *p, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}
