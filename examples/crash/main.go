// Crash runs a table in which most rows do what ends a Go program, or keeps it from ending: each has its worker process
// to itself, so the others come to their results and the driver reports what happened to whom, and why.
//
//	go run ./examples/crash        a line for each row
//	go run ./examples/crash -v     and its block: where, how, the stack, what its worker said last, where to read more
//	go run ./examples/crash -json  and all of that as JSON
//
// feature: S12, F1, F5
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/xenonmp/xme"
)

func main() {
	xme.Init()
	verbose := flag.Bool("v", false, "print the whole errors")
	asJSON := flag.Bool("json", false, "print the errors as JSON")
	workers := flag.Int("p", 2, "`workers`; 0: one per CPU")
	flag.Parse()
	form := line
	switch {
	case *verbose:
		form = block
	case *asJSON:
		form = object
	}
	if err := run(*workers, form, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func run(workers int, form func(*xme.Error) string, rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q, see -h", rest[0])
	}
	ctx := context.Background()
	// What crashing workers print is in their rows' errors: once is enough.
	o := xme.Options{Workers: workers, MaxMessage: 1 << 16, Grace: 100 * time.Millisecond, Stdout: io.Discard, Stderr: io.Discard}
	pool, err := xme.Open(ctx, o)
	if err != nil {
		return err
	}
	defer pool.Close()

	var table xme.Table
	var ends []*xme.Rows[string]
	for _, r := range rows {
		ends = append(ends, live.With(r.with...).Add(&table, slices.Values([]string{r.how})))
	}
	fmt.Println(table.Run(ctx, pool)) // how many rows failed, and the first
	good := 0
	for i, end := range ends {
		for answer, err := range end.All() {
			if err == nil {
				good++
			}
			show(i, rows[i].name, answer, err, form)
		}
	}
	fmt.Printf("%d rows: %d good, %d failed; %d workers died, the driver did not\n", len(rows), good, len(rows)-good, pool.Stats().Deaths)
	_ = pool.Close()
	outside(ctx, pool, o, form)
	return nil
}
