package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

func run(ctx context.Context, tasks, n int) error {
	if tasks < 1 || n < 0 || flag.NArg() > 0 {
		return fmt.Errorf("-tasks %d -n %d %q: tasks is 1 or more, n is not negative, and there are no arguments", tasks, n, flag.Args())
	}
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	v, err := manager.Share(ctx, m, "v", &V{})
	if err != nil {
		return err
	}
	pool, err := xme.Open(ctx, xme.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()

	var table xme.Table
	count.Add(&table, xme.Repeat(tasks, job{m, v, n}))
	guard := manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m}))
	if err := table.Run(ctx, pool); err != nil { // the first row that failed
		return err
	}
	reports, err := guard.Values()
	if err != nil {
		return err
	}
	fmt.Println("the guard ran", reports[0].Calls, "calls and was", reports[0].Ended)
	sum, err := add.Call(ctx, v, 0)
	if err == nil {
		fmt.Println(sum)
	}
	return err
}
