// Setup is about what workers do not have. A worker is this program once more, but xme.Init never returns in it: what
// main does afterwards has not happened there, no flag is parsed, no variable set. Here it is shown for a flag and a
// variable, with the two ways out: the argument, and Options.Setup for what is costly and the same for every row.
//
//	go run ./examples/setup -limit 1000000
//
// feature: U5
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
)

var limit = flag.Int("limit", 100, "`count` the primes below this number, 2 to 100000000")

func main() {
	xme.Init() // below here is the driver
	flag.Parse()
	primes = sieve(10) // for the driver alone
	if err := run(context.Background(), *limit, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "setup:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, limit int, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q, see -h", rest[0])
	case limit < 2 || limit > 1e8:
		return fmt.Errorf("-limit %d: give 2 to 100000000", limit)
	}
	bare, err := xme.Open(ctx, xme.Options{Workers: 1})
	if err != nil {
		return err
	}
	defer bare.Close()
	seen, err := look.Call(ctx, bare, nothing{})
	if err != nil {
		return err
	}
	fmt.Printf("the driver:        -limit %d, primes of %d numbers\n", limit, len(primes))
	fmt.Printf("a worker:          -limit %d, primes of %d numbers\n", seen.Limit, seen.Numbers)
	n, err := count.Call(ctx, bare, span{To: limit, Sieve: sieve(limit)})
	if err != nil {
		return err
	}
	fmt.Printf("by the argument:   %d primes below %d, the whole sieve sent along\n", n, limit)

	pool, err := xme.Open(ctx, xme.Options{Workers: 2, Setup: load.Setup(limit)})
	if err != nil {
		return err
	}
	defer pool.Close()
	total, rows, loads := 0, 0, map[int]int{}
	for s, err := range countHere.Map(ctx, pool, spans(limit, 100)) {
		if err != nil {
			return err
		}
		total += s.Primes
		rows++
		loads[s.PID] = max(loads[s.PID], s.Loads)
	}
	for pid, times := range loads {
		if times != 1 {
			return fmt.Errorf("worker %d loaded %d times", pid, times)
		}
	}
	fmt.Printf("by Options.Setup:  %d primes below %d, in %d rows; each worker made its sieve once\n", total, limit, rows)
	if total != n {
		return fmt.Errorf("the two ways found %d and %d primes", n, total)
	}
	return nil
}
