// Pipeline has three stages in processes of their own, joined by queues in shared memory: one makes numbers, some find how
// many steps each takes in Collatz's game, one keeps the longest. A queue that is full holds up the stage before it.
//
//	go run ./examples/pipeline -n 1000000 -p 2
//
// feature: M1, M4
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
)

func main() {
	xme.Init()
	n := flag.Int64("n", 300_000, "how many `numbers`")
	p := flag.Int("p", 2, "`players`, side by side")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	case *n < 0 || *p < 1:
		err = fmt.Errorf("-n %d -p %d: n is not negative, p is 1 or more", *n, *p)
	default:
		err = run(context.Background(), *n, *p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pipeline:", err)
		os.Exit(1)
	}
}
