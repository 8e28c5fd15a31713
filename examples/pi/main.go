// Pi estimates pi by darts thrown at a square: pi/4 of them hit the quarter circle in it. The same body runs in a pool
// of worker processes, on the ranks of a communicator (-mpi), or in this process; -compare runs it in each way, and in goroutines, and tells how they compare.
//
//	go run ./examples/pi -n 100000000 -s 1000000 -p 2 -compare
//
// feature: P11, P1, P4, S6, S7
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"

	"github.com/xenonmp/xme"
)

// score is what a row comes to.
type score struct{ Darts, Hits int }

var scatter = xme.Register("scatter", func(ctx context.Context, darts int) (score, error) {
	return throw(xme.Seed(ctx), darts), nil
})

func throw(seed uint64, darts int) score {
	rnd, s := rand.New(rand.NewPCG(seed, ^seed)), score{Darts: darts}
	for range darts {
		if x, y := rnd.Float64(), rnd.Float64(); x*x+y*y < 1 {
			s.Hits++
		}
	}
	return s
}

// inPool opens a pool, runs the rows in it and closes it.
func inPool(g game, count func(score)) error {
	ctx := context.Background()
	pool, err := xme.Open(ctx, xme.Options{Workers: g.p})
	if err != nil {
		return err
	}
	defer pool.Close()
	for row := range scatter.Unordered(ctx, pool, g.rows()) {
		if row.Err != nil {
			return row.Err
		}
		count(row.Value)
	}
	return nil
}

func main() {
	xme.Init()
	n := flag.Int("n", 1e8, "`darts` in all")
	s := flag.Int("s", 1e6, "`darts` per row; the last row takes what is left")
	p := flag.Int("p", 0, "`workers`, with -mpi ranks, of which main is one; 0: one per CPU, 1: as -serial")
	ranks := flag.Bool("mpi", false, "run on a communicator")
	serial := flag.Bool("serial", false, "run in this process, without a pool")
	compare := flag.Bool("compare", false, "run serially, in p goroutines and in p workers, and compare")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	case *n < 1 || *s < 1 || *p < 0:
		err = fmt.Errorf("-n %d -s %d -p %d: n and s are 1 or more, p is not negative", *n, *s, *p)
	case *p == 0:
		*p = runtime.GOMAXPROCS(0)
	}
	if err == nil {
		err = game{n: *n, s: min(*s, *n), p: *p}.play(*serial, *compare, *ranks)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pi:", err)
		os.Exit(1)
	}
}
