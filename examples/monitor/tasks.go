package main

import (
	"context"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
)

type job struct {
	Mon *monitor.Monitor
	N   int
}

// work reads what is there and reports: a row of the grid, by the list and the map that all share.
var work = xme.Register("work", func(ctx context.Context, j job) (bool, error) {
	grid, err := monitor.Get[[][]float64](ctx, j.Mon, "grid")
	if err != nil {
		return false, err
	}
	list, err := monitor.Get[*manager.List[string]](ctx, j.Mon, "b")
	if err != nil {
		return false, err
	}
	dict, err := monitor.Get[*manager.Map[string, int]](ctx, j.Mon, "c")
	if err != nil {
		return false, err
	}
	if _, err := manager.AddTo(ctx, dict, "tasks", 1); err != nil {
		return false, err
	}
	return true, list.Append(ctx, fmt.Sprintf("task %d saw %v", j.N, grid[j.N%len(grid)]))
})

// seal is done by a worker: it has inherited the key of its pool.
var seal = xme.Register("seal", func(ctx context.Context, mon *monitor.Monitor) ([]byte, error) {
	return mon.Marshal(ctx)
})

func show(ctx context.Context, mon *monitor.Monitor) error {
	all, err := mon.Messages(ctx)
	if err != nil {
		return err
	}
	for key, msg := range all.Items() {
		fmt.Printf("%s: %s\n", key, msg.JSON)
	}
	return nil
}

// send merges what a worker has sealed into a monitor of its own.
func send(ctx context.Context, pool *xme.Pool, mon *monitor.Monitor) error {
	sealed, err := seal.Call(ctx, pool, mon)
	if err != nil {
		return err
	}
	other := monitor.New(monitor.Options{})
	if err := monitor.Set(ctx, other, "z", []int{1, 2, 3}); err != nil {
		return err
	}
	if err := other.Unmarshal(ctx, sealed); err != nil {
		return err
	}
	fmt.Println("merged:")
	return show(ctx, other)
}
