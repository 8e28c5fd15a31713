// Nbody moves bodies that attract each other, by the leapfrog method. Each rank has some of them; before each step it tells
// all others where its own are, by an allgather. The result is compared with one loop's, which it equals bit by bit, and the
// energy of the whole with what it was.
//
//	go run ./examples/nbody -n 1000 -steps 50 -p 2
//
// feature: P9
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

func main() {
	xme.Init()
	n := flag.Int("n", 1000, "`bodies`")
	steps := flag.Int("steps", 50, "`steps` in time")
	p := flag.Int("p", max(2, runtime.GOMAXPROCS(0)), "`ranks`, at most one per body")
	seed := flag.Uint64("seed", 1, "of where they begin")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	case *n < 1 || *steps < 0 || *p < 1 || *p > *n:
		err = fmt.Errorf("-n %d -steps %d -p %d: n is 1 or more, steps are 0 or more, p is from 1 to n", *n, *steps, *p)
	default:
		err = run(context.Background(), game{N: *n, Steps: *steps, Seed: *seed}, *p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "nbody:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, g game, p int) error {
	start := time.Now()
	outs, err := mpi.Spawn(ctx, mpi.Options{Size: p}, move, g)
	if err != nil {
		return err
	}
	ranks := time.Since(start)
	var got []body
	for _, o := range outs {
		got = append(got, o.Bodies...)
	}
	start = time.Now()
	want := g.serial()
	serial := time.Since(start)
	if !slices.Equal(got, want) {
		return fmt.Errorf("the result of %d ranks is not that of one loop", p)
	}
	fmt.Printf("%d bodies, %d steps; ranks: %d, %.2f s; one loop: %.2f s, equal bit by bit\n", g.N, g.Steps, p, ranks.Seconds(), serial.Seconds())
	before, after := outs[0].Before, outs[0].After
	fmt.Printf("energy %.6f before, %.6f after, drift %.1e\n", before, after, math.Abs(after-before))
	if math.Abs(after-before) > 1e-3 {
		return errors.New("the energy is not kept")
	}
	return nil
}
