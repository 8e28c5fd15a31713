// Print is the original's section 1.3.1: ten processes log a line each, behind the time and the process it is from; then one with a type, one that
// is indented, and one without a process.
//
// Where the original differs: it hands its print to functions that have a parameter of that name, and writes to standard output; here a task asks for
// its logger, a *slog.Logger, and lines go to standard error, whole. What a task prints by package fmt comes in the same form, to standard output.
//
//	go run ./examples/original/print
//
// feature: L1, L3, S2
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmelog"
)

type nothing struct{}

var (
	fun = xme.Register("fun", func(ctx context.Context, _ nothing) (pid int, err error) {
		xme.Logger(ctx).Info("This is function fun")
		return os.Getpid(), nil
	})
	options = xme.Register("options", func(ctx context.Context, _ nothing) (nothing, error) {
		say := xme.Logger(ctx)
		say.Info("a typed one", xmelog.Type("Message"))
		say.Info("a part of it", xmelog.Indent(1))
		say.Info("of no process", xmelog.PID(0))
		fmt.Println("printed")
		return nothing{}, nil
	})
)

func main() {
	xme.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "print:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	pool, err := xme.Open(ctx, xme.Options{}) // logging is on unless NoLog is set
	if err != nil {
		return err
	}
	defer pool.Close() // all lines have been written then
	seen := map[int]bool{}
	for pid, err := range fun.With(xme.Fresh()).Map(ctx, pool, xme.Repeat(10, nothing{})) { // a process for each row
		if err != nil {
			return err
		}
		if seen[pid] {
			return fmt.Errorf("process %d ran two rows", pid)
		}
		seen[pid] = true
	}
	_, err = options.Call(ctx, pool, nothing{})
	return err
}
