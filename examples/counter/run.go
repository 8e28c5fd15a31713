package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

func run(ctx context.Context, tasks, n int, kill, process bool) error {
	if tasks < 1 || n < 1 || flag.NArg() > 0 {
		return fmt.Errorf("-tasks %d -n %d: both are 1 or more, and there are no arguments", tasks, n)
	}
	m, err := manager.Open(ctx, manager.Options{Process: process})
	if err != nil {
		return err
	}
	defer m.Close()
	c, err := manager.Share(ctx, m, "counter", &Counter{ByTask: map[int]int{}})
	if err != nil {
		return err
	}
	pool, err := xme.Open(ctx, xme.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()
	var counting []*xme.Future[int]
	for t := range tasks {
		counting = append(counting, count.Go(ctx, pool, job{c, t, n}))
	}
	if kill {
		if err := killOne(ctx, pool, c, counting[0]); err != nil {
			return err
		}
	}
	want, lost := 0, 0
	for _, f := range counting {
		last, err := f.Wait(ctx)
		if errors.Is(err, xme.ErrWorkerLost) {
			lost++
		} else if err != nil {
			return err
		}
		want += last
	}
	sum, err := total.Call(ctx, c, struct{}{})
	if err != nil {
		return err
	}
	if want != (tasks-lost)*n || sum < want || sum > want+lost*n || kill && lost > 1 {
		return fmt.Errorf("%d tasks counted to %d, of which %d were lost, and the counter is %d", tasks, n, lost, sum)
	}
	fmt.Printf("%d tasks counted to %d each, %d was killed on the way\n", tasks-lost, n, lost)
	_, err = add.Call(ctx, c, Addend{0, -1})
	fmt.Println("together", sum, "and a method's error:", err)
	return nil
}
