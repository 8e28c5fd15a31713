// Histogram counts how often each value occurs in a large array. Calls count parts of it where they lie, each into a row
// of a second shared array; the driver adds the rows up. Neither array is copied.
//
//	go run ./examples/histogram -n 100000000
//
// feature: M1, M4
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

func run(ctx context.Context, n, workers int) error {
	data, err := shm.NewArray[byte](n)
	if err != nil {
		return err
	}
	defer data.Close()
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range data.Slice() { // the sum of two dice of 128 sides
		x := rnd.Uint32()
		data.Slice()[i] = byte(x&127 + x>>7&127)
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: workers})
	if err != nil {
		return err
	}
	defer pool.Close()

	begin := time.Now()
	counts, err := inPool(ctx, pool, data, 1<<20)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	serial := make([]int64, bins)
	begin = time.Now()
	tally(serial, data.Slice())
	alone := time.Since(begin)
	if !slices.Equal(counts, serial) {
		return fmt.Errorf("the pool's counts differ from the serial ones")
	}
	draw(counts)
	fmt.Printf("%d values, equal to the serial count\n", n)
	fmt.Fprintf(os.Stderr, "%d workers %v, serially %v\n", workers, took.Round(time.Microsecond), alone.Round(time.Microsecond))
	return nil
}

func main() {
	xme.Init()
	n := flag.Int("n", 20_000_000, "how many `values`")
	p := flag.Int("p", runtime.GOMAXPROCS(0), "`workers`")
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
		fmt.Fprintln(os.Stderr, "histogram:", err)
		os.Exit(1)
	}
}
