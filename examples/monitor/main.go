// Monitor has tasks exchange messages by one table: values by key, a list and a map that all of them share, and all of it sealed to be sent.
//
//	go run ./examples/monitor -n 3
//
// feature: N1, N2
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
)

func main() {
	xme.Init()
	n := flag.Int("n", 3, "how many `tasks` report")
	flag.Parse()
	if err := run(context.Background(), *n); err != nil {
		fmt.Fprintln(os.Stderr, "monitor:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, n int) error {
	if n < 1 || flag.NArg() > 0 {
		return fmt.Errorf("-n %d %q: n is 1 or more, and there are no arguments", n, flag.Args())
	}
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	list, err := manager.NewList(ctx, m, "", "begun")
	if err != nil {
		return err
	}
	dict, err := manager.NewMap[string, int](ctx, m, "")
	if err != nil {
		return err
	}
	mon := monitor.New(monitor.Options{Manager: m})
	err = mon.Update(ctx, monitor.Put("a", "a string"), monitor.Put("b", list), monitor.Put("c", dict), monitor.Put("grid", [][]float64{{1, 2}, {3, 4}}))
	if err != nil {
		return err
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		return err
	}
	defer pool.Close()
	for i := range n {
		if _, err := work.Call(ctx, pool, job{mon, i}); err != nil {
			return err
		}
	}
	if err := mon.Delete(ctx, "grid"); err != nil {
		return err
	}
	if err := show(ctx, mon); err != nil {
		return err
	}
	return send(ctx, pool, mon)
}
