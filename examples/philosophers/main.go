// Philosophers sit around a table in processes of their own, with one fork between every two of them. Each takes the fork at its
// left and then the one at its right, so at first they all wait for each other: the one whose patience ends first
// is told the whole cycle, puts its fork down, and all of them eat.
//
//	go run ./examples/philosophers -n 5 -patience 200ms
//	go run ./examples/philosophers -ordered    the last one takes its right fork first: there is no deadlock
//
// feature: M1
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
	n := flag.Int("n", 3, "how many `philosophers`")
	patience := flag.Duration("patience", 300*time.Millisecond, "how long the first of them waits for its second fork")
	ordered := flag.Bool("ordered", false, "take the forks in an order that has no deadlock")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	case *n < 2 || *n > 64 || *patience <= 0:
		err = fmt.Errorf("-n %d -patience %v: n is 2 to 64, the patience above 0", *n, *patience)
	default:
		err = run(context.Background(), *n, *patience, *ordered)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "philosophers:", err)
		os.Exit(1)
	}
}
