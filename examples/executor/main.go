// Executor is an executor written outside the package: each call runs in another process, one of a few copies of this
// program that it starts itself, with xme.Serve at the other end. It behaves to its callers as a pool does, which
// xmetest.Exercise checks in the test.
//
//	go run .
//
// feature: S11
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
)

// square is a result and the process that it was found in.
type square struct{ Value, PID int }

var squared = xme.Register("squared", func(_ context.Context, n int) (square, error) {
	return square{n * n, os.Getpid()}, nil
})

func main() {
	xme.Init()
	if serveChild() {
		return
	}
	n := flag.Int("n", 2, "`processes`")
	flag.Parse()
	if err := run(*n, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "executor:", err)
		os.Exit(1)
	}
}

func run(n int, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q, see -h", rest[0])
	case n < 1 || n > 1000:
		return fmt.Errorf("-n %d: give 1 to 1000 processes", n)
	}
	children := OpenChildren(n)
	defer children.Close()
	sum, pids := 0, map[int]bool{}
	rows := xme.Split(func(i int) int { return i + 1 }, make(xme.Array[int], 100))
	for sq, err := range squared.Map(context.Background(), children, rows) {
		if err != nil {
			return err
		}
		sum += sq.Value
		pids[sq.PID] = true
	}
	if pids[os.Getpid()] {
		return fmt.Errorf("a row ran in this process")
	}
	fmt.Printf("the squares of 1 to 100 add up to %d, found in %d other processes\n", sum, len(pids))
	return nil
}
