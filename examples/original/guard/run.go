package main

import (
	"context"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

func run(ctx context.Context) error {
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
	guard := manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m}))
	fun.Add(&table, xme.Repeat(10, m))
	if err := table.Run(ctx, pool); err != nil {
		return err
	}
	reports, err := guard.Values()
	if err != nil {
		return err
	}
	fmt.Println("the guard was", reports[0].Ended)
	value, err := get.Call(ctx, v, struct{}{})
	fmt.Println(value)
	return err
}
