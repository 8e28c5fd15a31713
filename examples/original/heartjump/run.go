package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

func run(ctx context.Context) error {
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	v, err := manager.Share(ctx, m, "v", &V{Value: []int{0}})
	if err != nil {
		return err
	}
	pool, err := xme.Open(ctx, xme.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()
	var table xme.Table
	manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m}))
	fun.Add(&table, xme.Repeat(10, m))
	if err := table.Run(ctx, pool); err != nil {
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
	fmt.Println(ended, "processes have ended")
	value, err := get.Call(ctx, v, struct{}{})
	fmt.Println(value)
	return err
}
