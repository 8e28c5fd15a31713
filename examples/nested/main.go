// Nested sorts numbers by a merge sort whose halves are calls of the same function: a task makes calls of its own on
// xme.Current, and while it waits for them another process runs rows in its place. So a pool of two workers holds a
// tree of any width; what it has no room for is a chain of waiting tasks that is longer than Options.MaxProcesses, as
// -deep shows: the innermost call ends with ErrDepth, at once, instead of waiting for a process that none gives back.
//
//	go run ./examples/nested -n 1000000 -p 2
//	go run ./examples/nested -deep
//
// feature: U7, S1
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"

	"github.com/xenonmp/xme"
)

func main() {
	xme.Init()
	n := flag.Int("n", 1_000_000, "how many `numbers` to sort")
	p := flag.Int("p", 2, "`workers`; 0: one per CPU")
	deep := flag.Bool("deep", false, "halve down to single numbers in a pool of few processes")
	flag.Parse()
	if err := run(*n, *p, *deep, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "nested:", err)
		os.Exit(1)
	}
}

func run(n, p int, deep bool, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q, see -h", rest[0])
	case n < 0:
		return fmt.Errorf("-n %d: give 0 or more", n)
	}
	o, leaf := xme.Options{Workers: p}, max(1, n/8) // a tree of three levels below the root
	if deep {
		if p == 0 {
			p = runtime.GOMAXPROCS(0)
		}
		o.Workers = p
		o.MaxProcesses, leaf = p+2, 1
	}
	ctx := context.Background()
	pool, err := xme.Open(ctx, o)
	if err != nil {
		return err
	}
	defer pool.Close()

	rnd := rand.New(rand.NewPCG(1, 2))
	numbers := make([]int64, n)
	for i := range numbers {
		numbers[i] = rnd.Int64()
	}
	got, err := mergeSort.Call(ctx, pool, part{Numbers: numbers, Leaf: leaf})
	if errors.Is(err, xme.ErrDepth) {
		fmt.Println("too deep:", err)
		fmt.Println("each of these calls waits in a process of its own: raise Options.MaxProcesses, or stop dividing sooner")
		return nil
	}
	if err != nil {
		return err
	}
	slices.Sort(numbers) // to check
	if !slices.Equal(got.Numbers, numbers) {
		return fmt.Errorf("the %d numbers did not come back in order", n)
	}
	fmt.Printf("%d numbers sorted and checked, in %d tasks of %d processes\n", n, got.Tasks, len(got.PIDs))
	return nil
}
