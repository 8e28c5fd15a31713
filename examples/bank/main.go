// Bank moves money between accounts that lie in shared memory, in several processes, which are killed while they do so: at random,
// from outside. A mutex guards the accounts; who gets it after a death is told, and finishes from a journal what was
// half-done. No money appears or vanishes.
//
//	go run ./examples/bank -n 200 -p 2 -kill 20ms
//
// feature: M1, K6
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/xenonmp/xme"
)

func main() {
	xme.Init()
	n := flag.Int("n", 100, "how many `rows` of 10000 transfers each")
	p := flag.Int("p", 2, "`workers`")
	every := flag.Duration("kill", 20*time.Millisecond, "how long after one kill comes the next, 0: never")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	case *n < 0 || *p < 1 || *every < 0:
		err = fmt.Errorf("-n %d -p %d -kill %v: n and kill are not negative, p is 1 or more", *n, *p, *every)
	default:
		err = run(context.Background(), *n, *p, *every)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bank:", err)
		os.Exit(1)
	}
}
