// Progress counts the prime numbers below a limit in rows of equal span and shows how far it is: on a terminal a bar, with
// what the workers log above it, in a pipe a line now and then. With -summary the pool tells at its end what it did with
// its time, the slowest rows, and what to do about it; with -stats the counts of each function, as JSON.
//
//	go run ./examples/progress
//	go run ./examples/progress -summary 2>&1 | cat
//
// feature: S3, S13
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/progress"
)

func main() {
	xme.Init()
	limit := flag.Int("limit", 20_000_000, "count the primes below this `number`")
	rows := flag.Int("rows", 200, "in so many `rows`")
	every := flag.Duration("every", time.Second, "without a terminal, write a line this `often`")
	summary := flag.Bool("summary", false, "say at the end what the pool did with its time")
	stats := flag.Bool("stats", false, "print the pool's counts")
	flag.Parse()
	if err := run(*limit, *rows, *every, *summary, *stats, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "progress:", err)
		os.Exit(1)
	}
}

func run(limit, rows int, every time.Duration, summary, stats bool, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q, see -h", rest[0])
	case rows < 1 || limit < rows:
		return fmt.Errorf("-rows %d, -limit %d: give one row or more, and no more rows than numbers", rows, limit)
	}
	bar := progress.New(os.Stderr, progress.Options{Name: "primes", Every: every})
	defer bar.Close()
	pool, err := xme.Open(context.Background(), xme.Options{Stdout: bar, Stderr: bar, Summary: summary})
	if err != nil {
		return err
	}
	defer pool.Close()
	spans := func(yield func(span) bool) {
		for i := range rows {
			if !yield(span{limit * i / rows, limit * (i + 1) / rows}) {
				return
			}
		}
	}
	total := 0
	for n, err := range count.Map(xme.WithProgress(context.Background(), rows, bar.Hook), pool, spans) {
		if err != nil {
			return err
		}
		total += n
	}
	fmt.Printf("%d primes below %d\n", total, limit)
	if stats {
		return json.NewEncoder(os.Stdout).Encode(pool.Stats())
	}
	return nil
}
