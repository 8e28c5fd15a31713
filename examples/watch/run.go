package main

import (
	"context"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

const keys = 10

// run changes the prices n times, deletes the first, and returns what the watcher saw.
func run(ctx context.Context, n int) (s sums, err error) {
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return s, err
	}
	defer m.Close()
	if err := manager.Set(ctx, m, "open", true); err != nil {
		return s, err
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	if err != nil {
		return s, err
	}
	defer pool.Close()
	result := follow.With(xme.Service()).Go(ctx, pool, m)
	begins, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		<-result.Done() // before it watches, if something is wrong
		stop()
	}()
	for _, err := range manager.Watch(begins, m, "watching") {
		if err != nil && begins.Err() != nil {
			return result.Wait(ctx)
		}
		if err != nil {
			return s, err
		}
		break // it is there: the task watches
	}
	for i := range n {
		if err := manager.Set(ctx, m, fmt.Sprint("price ", i%keys), i); err != nil {
			return s, err
		}
	}
	if n > 0 {
		if err := m.Table().Delete(ctx, "price 0"); err != nil {
			return s, err
		}
	}
	if err := manager.Set(ctx, m, "closed", true); err != nil {
		return s, err
	}
	return result.Wait(ctx)
}
