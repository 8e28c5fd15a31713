package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	v, err := manager.Share(ctx, m, "v", &V{[]int{0}})
	if err != nil {
		return err
	}
	pool, err := xme.Open(ctx, xme.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()

	var table xme.Table
	count.Add(&table, xme.Repeat(10, m))
	manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m}))
	if err := table.Run(ctx, pool); err != nil { // the first row that failed
		return err
	}
	status, err := manager.Get[map[string]string](ctx, m, manager.StatusKey)
	if err != nil {
		return err
	}
	ended := 0
	for _, text := range status {
		if strings.HasPrefix(text, "ended ") {
			ended++
		}
	}
	fmt.Println(ended, "hearts have stopped, as they should")
	sum, err := get.Call(ctx, v, struct{}{})
	if err == nil {
		fmt.Println(sum)
	}
	return err
}
