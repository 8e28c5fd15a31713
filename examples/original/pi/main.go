// Pi is the original's section 3.3: balls fall into a square; four times the part of them that is within the circle is about pi. Main hands them out to
// logical processes, subnums at a time, while a second goroutine of its own collects the results; what is left over it does itself. With one process
// there is no communicator. How long it took goes to standard error.
//
// Where the original differs: its text has 35 s for 10^8 balls in one process, and 6 s with eight.
//
//	go run ./examples/original/pi -n 100000000 -s 1000000 -p 8
//
// feature: P1, P4, P10, P11
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

func main() {
	xme.Init()
	nums := flag.Int("n", 1e8, "how many `balls`")
	subnums := flag.Int("s", 1e6, "how many of them at a time")
	pnum := flag.Int("p", 8, "`processes`, this one counted")
	flag.Parse()
	if err := run(context.Background(), *nums, *subnums, *pnum); err != nil {
		fmt.Fprintln(os.Stderr, "pi:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, nums, subnums, pnum int) (err error) {
	if nums < 1 || subnums < 1 || pnum < 1 || flag.NArg() > 0 {
		return fmt.Errorf("-n %d -s %d -p %d %q: all are 1 or more, and there are no arguments", nums, subnums, pnum, flag.Args())
	}
	begin := time.Now()
	var all result
	if pnum == 1 {
		all = fall(0, nums)
	} else {
		err = mpi.Run(ctx, mpi.Options{Size: pnum}, func(ctx context.Context, c *mpi.Comm) (err error) {
			all, err = handOut(ctx, c, nums, subnums)
			return err
		})
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d balls, pi: %.2f\n", all.Balls, 4*float64(all.Within)/float64(all.Balls))
	fmt.Fprintln(os.Stderr, "Time usage:", time.Since(begin))
	return nil
}
