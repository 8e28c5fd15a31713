package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// show prints what the rows have left.
func (v variables) show(ctx context.Context) error {
	fmt.Println("value", v.Value.Load())
	fmt.Println("array", v.Array.Slice())
	errEnd := v.Queue.End() // no more will come
	sum, n := 0, 0
	for i, err := range v.Queue.All(ctx) {
		if err != nil {
			return err
		}
		sum, n = sum+i, n+1
	}
	fmt.Println("queue", n, "items of", sum)
	list, errList := v.List.Slice(ctx, 0, 11)
	slices.Sort(list)
	fmt.Println("list", list)
	keys, errMap := v.Map.Keys(ctx)
	slices.Sort(keys)
	fmt.Println("map", keys)
	calls, errObject := add.Call(ctx, v.Object, 0)
	fmt.Println("object", calls)
	return errors.Join(errEnd, errList, errMap, errObject)
}
