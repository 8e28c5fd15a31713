// Sort orders numbers that no process holds all of, by sample sort: each rank sorts its own, rank 0 finds from samples of
// all where to split them, and every rank sends every other what belongs there. It is checked that the parts follow each
// other, and that they hold the numbers that were there before.
//
//	go run ./examples/sort -n 4000000 -p 2
//
// feature: P9
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

func main() {
	xme.Init()
	n := flag.Int("n", 4_000_000, "how many `numbers`")
	distinct := flag.Uint64("distinct", 0, "they are below this `number`; 0: of 64 bits")
	p := flag.Int("p", max(2, runtime.GOMAXPROCS(0)), "`ranks`")
	seed := flag.Uint64("seed", 1, "of the numbers")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	case *n < 0 || *p < 1:
		err = fmt.Errorf("-n %d -p %d: n is 0 or more, p is 1 or more", *n, *p)
	default:
		err = run(context.Background(), numbers{N: *n, Distinct: *distinct, Seed: *seed}, *p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sort:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, all numbers, p int) error {
	start := time.Now()
	parts, err := mpi.Spawn(ctx, mpi.Options{Size: p}, sortPart, all)
	if err != nil {
		return err
	}
	took := time.Since(start)
	var got tally
	var last uint64
	largest := 0
	for _, part := range parts {
		if !part.Sorted || part.Tally.N > 0 && part.First < last {
			return errors.New("the numbers are not in order")
		}
		if part.Tally.N > 0 {
			last = part.Last
		}
		got.join(part.Tally)
		largest = max(largest, part.Tally.N)
	}
	if got != count(all.slice(0, all.N)) {
		return errors.New("the numbers are not those that were there before")
	}
	fmt.Printf("%d numbers in order, ranks: %d, %.2f s; the largest part has %d\n", all.N, p, took.Seconds(), largest)
	return nil
}
