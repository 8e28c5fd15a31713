// Watch has a task watch a table while the driver changes it. The task sees each key's last change at least, and says how many of the
// changes it was too slow for.
//
//	go run ./examples/watch -n 1000
//
// feature: X2
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// sums are what a watcher saw: the keys' last values added up, and the changes, seen or missed.
type sums struct{ Values, Changes, Deleted int }

// follow watches prices until the market closes.
var follow = xme.Register("follow", func(ctx context.Context, m *manager.Manager) (s sums, err error) {
	last := map[string]int{}
	for e, err := range manager.Watch(ctx, m, "price *", "open", "closed") {
		switch {
		case err != nil:
			return s, err
		case e.Key == "open":
			if err := manager.Set(ctx, m, "watching", true); err != nil {
				return s, err
			}
			continue
		case e.Key == "closed":
			for _, v := range last {
				s.Values += v
			}
			return s, nil
		case e.Deleted:
			delete(last, e.Key)
			s.Deleted++
		default:
			if last[e.Key], err = manager.As[int](e.Value); err != nil {
				return s, err
			}
		}
		s.Changes += 1 + e.Missed
	}
	return s, nil
})

func main() {
	xme.Init()
	n := flag.Int("n", 1000, "how many `changes`")
	flag.Parse()
	var s sums
	err := fmt.Errorf("-n %d %q: n is not negative, and there are no arguments", *n, flag.Args())
	if *n >= 0 && flag.NArg() == 0 {
		s, err = run(context.Background(), *n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "watch:", err)
		os.Exit(1)
	}
	fmt.Printf("%d changes, %d keys deleted, the prices add up to %d\n", s.Changes, s.Deleted, s.Values)
}
