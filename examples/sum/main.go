// Sum adds up 1 to 100, and 1 to 100 million, in a pool and in a plain loop. The first shows what a pool is not for:
// a row costs more to hand over than the ten additions in it.
//
//	go run ./examples/sum
//
// feature: S7, S13
package main

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"os"
	"time"

	"github.com/xenonmp/xme"
)

// span is one row: the numbers From to To.
type span struct{ From, To int }

var sum = xme.Register("sum", func(_ context.Context, s span) (int, error) { return add(s), nil })

func add(s span) int {
	total := 0
	for i := s.From; i <= s.To; i++ {
		total += i
	}
	return total
}

// spans cuts 1 to n into rows of size numbers.
func spans(n, size int) iter.Seq[span] {
	return func(yield func(span) bool) {
		for from := 1; from <= n && yield(span{from, min(n, from+size-1)}); from += size {
		}
	}
}

func main() {
	xme.Init()
	workers := flag.Int("p", 0, "`workers`; 0: one per CPU")
	flag.Parse()
	if err := run(*workers, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "sum:", err)
		os.Exit(1)
	}
}

func run(workers int, rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q, see -h", rest[0])
	}
	ctx, start := context.Background(), time.Now()
	pool, err := xme.Open(ctx, xme.Options{Workers: workers})
	if err != nil {
		return err
	}
	defer pool.Close()
	fmt.Printf("pool opened in %v\n", time.Since(start))
	for _, c := range []struct{ n, size int }{{100, 10}, {100_000_000, 1_000_000}} {
		total := 0
		start = time.Now()
		for part, err := range sum.Map(ctx, pool, spans(c.n, c.size)) {
			if err != nil {
				return err
			}
			total += part
		}
		pooled := time.Since(start)
		start = time.Now()
		if plain := add(span{1, c.n}); plain != total {
			return fmt.Errorf("the pool says %d, a plain loop %d", total, plain)
		}
		fmt.Printf("1 to %d: %d (pool %v, plain loop %v)\n", c.n, total, pooled, time.Since(start))
	}
	return nil
}
