// Heat spreads in a square plate with cold edges: the heat equation, by an explicit scheme. Each rank has some rows of the
// grid, and exchanges the outer ones with its neighbours before each step. The result is compared with one loop's, which it
// equals bit by bit, and with the exact solution; -o draws it.
//
//	go run ./examples/heat -n 256 -steps 2000 -p 2 -o heat.png
//
// feature: P9
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

func main() {
	xme.Init()
	n := flag.Int("n", 256, "`points` a side, without the edges")
	steps := flag.Int("steps", 2000, "`steps` in time")
	p := flag.Int("p", max(2, runtime.GOMAXPROCS(0)), "`ranks`, at most one per row")
	file := flag.String("o", "", "PNG `file` to write")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	case *n < 1 || *n > 1<<13 || *steps < 0 || *p < 1 || *p > *n:
		err = fmt.Errorf("-n %d -steps %d -p %d: n is from 1 to %d, steps are 0 or more, p is from 1 to n", *n, *steps, *p, 1<<13)
	default:
		err = run(context.Background(), plate{N: *n, Steps: *steps}, *p, *file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "heat:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w plate, p int, file string) error {
	start := time.Now()
	outs, err := mpi.Spawn(ctx, mpi.Options{Size: p}, spread, w)
	if err != nil {
		return err
	}
	ranks, got := time.Since(start), outs[0]
	start = time.Now()
	want := w.serial()
	serial := time.Since(start)
	if !slices.Equal(got.Grid, want) {
		return fmt.Errorf("the result of %d ranks is not that of one loop", len(outs))
	}
	fmt.Printf("%d x %d points, %d steps; ranks: %d, %.2f s; one loop: %.2f s, equal bit by bit\n",
		w.N, w.N, w.Steps, len(outs), ranks.Seconds(), serial.Seconds())
	off := w.distance(got.Grid)
	fmt.Printf("hottest %.6f, last change %.2e, off the exact solution by %.2e at most\n", got.Hottest, got.Change, off)
	if bound := 10 * w.dx() * w.dx(); off > bound {
		return fmt.Errorf("that is more than %.2e", bound)
	}
	if file == "" {
		return nil
	}
	if err := w.draw(got.Grid, file); err != nil {
		return err
	}
	fmt.Println("wrote", file)
	return nil
}
