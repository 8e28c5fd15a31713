package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

func run(ctx context.Context, tasks, n, kills int) error {
	if tasks < 1 || n < 0 || kills < 0 || flag.NArg() > 0 {
		return fmt.Errorf("-tasks %d -n %d -kills %d %q: tasks is 1 or more, the others are not negative, and there are no arguments", tasks, n, kills, flag.Args())
	}
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "ledger.txt")
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	if err := manager.Set(ctx, m, "path", path); err != nil {
		return err
	}
	pool, err := xme.Open(ctx, xme.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()
	r, lost, err := work(ctx, m, pool, tasks, n, kills)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d of %d tasks were killed, %d entries are in doubt\n", lost, tasks, len(r.Doubtful))
	return audit(path, r)
}

// audit compares the ledger with what was said of its entries.
func audit(path string, r receipt) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines, most := map[string]int{}, 0
	for line := range strings.Lines(string(text)) {
		lines[line]++
		most = max(most, lines[line])
	}
	missing := 0
	for _, e := range r.Written {
		if lines[e.line()] != 1 {
			missing++
		}
	}
	fmt.Println("every accepted entry once:", missing == 0)
	fmt.Println("no entry twice:", most <= 1)
	return nil
}
