package main

import (
	"context"
	"fmt"

	"github.com/xenonmp/xme/manager"
)

// exec runs what is queued, call by call.
func exec(ctx context.Context, q *manager.Queue) error {
	for n := 0; ; n++ {
		ran, err := q.Exec(ctx)
		if err != nil || !ran {
			fmt.Println("ran", n)
			return err
		}
	}
}

// list shows what is queued.
func list(ctx context.Context, q *manager.Queue) error {
	n, err := q.Len(ctx)
	if err != nil {
		return err
	}
	b, err := q.Buffers(ctx)
	if err != nil {
		return err
	}
	fmt.Println(n, "calls are queued:")
	for _, c := range b.Queued {
		fmt.Printf("  %d by operator %d: %s\n", c.Call, c.Operator, c.Name)
	}
	return nil
}

// results fetches what the calls came to, oldest first, each operator's.
func results(ctx context.Context, ours, theirs *manager.Queue) error {
	for range 4 {
		r, err := ours.Result(ctx)
		if err != nil {
			return err
		}
		if r.Err != nil {
			fmt.Println("call", r.Call, "failed:", r.Err)
			continue
		}
		sum, err := manager.As[int](r.Value)
		fmt.Println("call", r.Call, "returned", sum, err)
	}
	r, err := theirs.Result(ctx)
	if err != nil {
		return err
	}
	values, err := manager.As[manager.Values](r.Value)
	fmt.Println("call", r.Call, "read", values["colour"], err)
	forgotten, err := ours.Clean(ctx)
	fmt.Println(forgotten, "result was not fetched")
	return err
}
