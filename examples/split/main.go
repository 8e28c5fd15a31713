// Split makes rows of arrays: as many as the longest has values; a shorter one repeats its last value. Ten numbers and
// three names give ten rows, the last eight of them with "b3".
//
//	go run ./examples/split
//
// feature: S3, S4, S5
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
)

// pair is the argument of a row; its fields are what keyword arguments are elsewhere.
type pair struct {
	A int
	B string
	C bool
}

var show = xme.Register("show", func(_ context.Context, p pair) (string, error) {
	return fmt.Sprintf("a=%d b=%s c=%t", p.A, p.B, p.C), nil
})

func run(ctx context.Context, rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q, see -h", rest[0])
	}
	pool, err := xme.Open(ctx, xme.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()

	a := xme.Array[int]{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	b := xme.Array[string]{"b1", "b2", "b3"}
	var table xme.Table
	rows := show.Add(&table, xme.Split(func(i int) pair {
		return pair{A: a.At(i), B: b.At(i), C: true} // C is no array: the same in every row
	}, a, b))
	if err := table.Run(ctx, pool); err != nil {
		return err
	}
	lines, err := rows.Values()
	if err != nil {
		return err
	}
	for i, line := range lines {
		fmt.Printf("row %d: %s\n", i, line)
	}
	return nil
}

func main() {
	xme.Init()
	flag.Parse()
	if err := run(context.Background(), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "split:", err)
		os.Exit(1)
	}
}
