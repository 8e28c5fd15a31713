// Ledger has tasks post entries to a file that they do not have: the guard's process alone has opened it, and writes them one at a time. Workers are
// killed meanwhile, and the guard too. Who was told that an entry is written finds it there once; who was told that its guard
// was lost finds it once or not at all; nothing is there twice.
//
//	go run ./examples/ledger
//	go run ./examples/ledger -tasks 20 -n 5000 -kills 10
//
// feature: G1, G2
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// Entry is a line of the ledger.
type Entry struct{ Task, N int }

func (e Entry) line() string { return fmt.Sprintln(e.Task, e.N) }

// ledger is open in the guard's process, and nowhere else.
var ledger *os.File

var open = xme.Register("open", func(ctx context.Context, m *manager.Manager) (struct{}, error) {
	path, err := manager.Get[string](ctx, m, "path")
	if err == nil {
		ledger, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	}
	return struct{}{}, err
})

// post writes an entry, and returns by which process.
var post = xme.Register("post", func(_ context.Context, e Entry) (int, error) {
	_, err := ledger.WriteString(e.line())
	return os.Getpid(), err
})

type job struct {
	M       *manager.Manager
	Task, N int
}

// receipt is what became of the entries of a task that was not killed.
type receipt struct{ Written, Doubtful []Entry }

var write = xme.Register("write", func(ctx context.Context, j job) (r receipt, err error) {
	var posted []*xme.Future[int]
	for n := range j.N {
		posted = append(posted, post.Go(ctx, j.M.Queue(), Entry{j.Task, n}))
	}
	for n, f := range posted {
		if _, err := f.Wait(ctx); err == nil {
			r.Written = append(r.Written, Entry{j.Task, n})
		} else if errors.Is(err, manager.ErrGuardLost) {
			r.Doubtful = append(r.Doubtful, Entry{j.Task, n})
		} else {
			return r, err
		}
	}
	return r, nil
})

func main() {
	xme.Init()
	tasks := flag.Int("tasks", 10, "how many `tasks` post entries")
	n := flag.Int("n", 500, "how many `entries` each of them posts")
	kills := flag.Int("kills", 3, "how many `times` a worker is killed, and the guard")
	flag.Parse()
	if err := run(context.Background(), *tasks, *n, *kills); err != nil {
		fmt.Fprintln(os.Stderr, "ledger:", err)
		os.Exit(1)
	}
}
