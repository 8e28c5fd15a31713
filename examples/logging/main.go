// Logging shows where goes what tasks log and print: each line comes whole, behind the time and the process it is from,
// to the screen and to a file at once; the last words of a worker that dies arrive too. The records can go to any other
// slog.Handler instead, and a task can have a log file of its own.
//
//	go run ./examples/logging
//	go run ./examples/logging -json -log all.log -own third.log -banner
//
// feature: L1, L2, L3, L4, S2
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/xenonmp/xme"
)

func main() {
	xme.Init()
	var o xme.Options
	var level slog.Level
	flag.TextVar(&level, "level", slog.LevelInfo, "the least `level` that is logged")
	flag.StringVar(&o.Log.File, "log", "", "append all lines to this `file` too")
	flag.BoolVar(&o.NoScreen, "quiet", false, "write nothing of the workers to the screen")
	flag.BoolVar(&o.Banner, "banner", false, "write a line when the pool is open")
	asJSON := flag.Bool("json", false, "write log records as JSON, to standard output")
	inline := flag.Bool("inline", false, "no pool: run the rows in this process")
	own := flag.String("own", "", "append what the third row says to this `file` too, in another form")
	flag.Parse()
	o.Log.Level = level
	if *asJSON {
		o.LogHandler = slog.NewJSONHandler(os.Stdout, nil)
	}
	if err := run(o, *own, *inline, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "logging:", err)
		os.Exit(1)
	}
}

func run(o xme.Options, own string, inline bool, rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q, see -h", rest[0])
	}
	ctx := context.Background()
	rows := []weighing{{"apples", 3, ""}, {"pears", 0, ""}, {"plums", 12, own}, {"stones", 1e6, ""}}
	on := xme.Inline()
	if inline {
		rows = rows[:3] // the fourth ends its process
	} else {
		o.Workers = 1
		pool, err := xme.Open(ctx, o)
		if err != nil {
			return err
		}
		defer pool.Close() // what was logged has been written then
		on = pool
	}
	for _, err := range weigh.Map(ctx, on, slices.Values(rows)) {
		if err != nil {
			fmt.Printf("a row: %+v\n", err) // its last lines are in it
		}
	}
	return nil
}
