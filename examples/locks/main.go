// Locks has two workers use a lock of each of the five kinds, as two operators: who may take it, and what becomes of a number that both of them
// count up under it.
//
//	go run ./examples/locks
//	go run ./examples/locks -kinds MUTEX,SPIN    those that need no word with the manager
//	go run ./examples/locks -inline              in this process, one task after the other
//
// feature: K1, K2, K3, K4, K6
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

var kinds = []manager.Kind{manager.Disable, manager.Mutex, manager.Authorisation, manager.ReadWrite, manager.Spin}

func main() {
	xme.Init()
	names := flag.String("kinds", "", "`kinds` to show, by commas; empty: all")
	inline := flag.Bool("inline", false, "run the tasks in this process")
	flag.Parse()
	err := start(context.Background(), *names, *inline)
	if err != nil {
		fmt.Fprintln(os.Stderr, "locks:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, names string, inline bool) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	}
	show := kinds
	if names != "" {
		show = nil
		for name := range strings.SplitSeq(names, ",") {
			i := slices.IndexFunc(kinds, func(k manager.Kind) bool { return k.String() == name })
			if i < 0 {
				return fmt.Errorf("-kinds %s: there is no %s, but %v", names, name, kinds)
			}
			show = append(show, kinds[i])
		}
	}
	if inline {
		return run(ctx, xme.Inline(), show)
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		return err
	}
	defer pool.Close()
	return run(ctx, pool, show)
}
