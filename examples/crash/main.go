// Crash runs a table in which every second row does what ends a Go program, or keeps it from ending: each has its
// worker process to itself, so the others come to their results and the driver reports what happened to whom.
//
//	go run ./examples/crash        a line for each row
//	go run ./examples/crash -v     and what its worker said last, with the stack
//
// feature: S12, F1, F5
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/xenonmp/xme"
)

func main() {
	xme.Init()
	verbose := flag.Bool("v", false, "print the whole errors")
	workers := flag.Int("p", 2, "`workers`; 0: one per CPU")
	flag.Parse()
	if err := run(*workers, *verbose, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func run(workers int, verbose bool, rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q, see -h", rest[0])
	}
	ctx := context.Background()
	// What crashing workers print is in their rows' errors: once is enough.
	pool, err := xme.Open(ctx, xme.Options{Workers: workers, Grace: 100 * time.Millisecond, Stderr: io.Discard})
	if err != nil {
		return err
	}
	defer pool.Close()

	var table xme.Table
	bounded := live.With(xme.Timeout(3*time.Second), xme.Memory(128<<20))
	rows := bounded.Add(&table, slices.Values(lives))
	fmt.Println(table.Run(ctx, pool)) // how many rows failed, and the first
	row, good := 0, 0
	for answer, err := range rows.All() {
		var e *xme.Error
		switch {
		case err == nil:
			good++
			fmt.Printf("%2d  %-10s  %s\n", row, lives[row], answer)
		case !errors.As(err, &e):
			return err
		case verbose:
			fmt.Printf("%2d  %-10s  %+v\n", row, lives[row], e)
		default:
			fmt.Printf("%2d  %-10s  %s: %s%s\n", row, lives[row], e.Cause, e.Message, lastWords(e))
		}
		row++
	}
	fmt.Printf("%d rows: %d good, %d failed; %d workers died, the driver did not\n", row, good, row-good, pool.Stats().Deaths)
	return nil
}

// lastWords is what the runtime said before it gave up.
func lastWords(e *xme.Error) string {
	for line := range strings.Lines(e.Output) {
		if strings.HasPrefix(line, "fatal error: ") {
			return " (" + strings.TrimSpace(line) + ")"
		}
	}
	return ""
}
