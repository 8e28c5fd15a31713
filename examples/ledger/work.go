package main

import (
	"context"
	"errors"
	"slices"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// work has tasks post entries beside a guard, kills a worker and the guard meanwhile, and adds up what the tasks say that came to an end.
func work(ctx context.Context, m *manager.Manager, pool *xme.Pool, tasks, n, kills int) (all receipt, lost int, err error) {
	var jobs []job
	for t := range tasks {
		jobs = append(jobs, job{m, t, n})
	}
	var table xme.Table
	rows := write.Add(&table, slices.Values(jobs))
	guard := manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Start: open.Name()}}))
	working, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_ = table.Run(ctx, pool) // the rows say what became of them
	}()
	err = all.disturb(working, m, pool, tasks, kills)
	<-working.Done()
	if _, gerr := guard.Values(); gerr != nil || err != nil {
		return all, 0, errors.Join(gerr, err)
	}
	for r, err := range rows.All() {
		switch {
		case errors.Is(err, xme.ErrWorkerLost):
			lost++ // what it had queued is written all the same
		case err != nil:
			return all, lost, err
		}
		all.Written = append(all.Written, r.Written...)
		all.Doubtful = append(all.Doubtful, r.Doubtful...)
	}
	return all, lost, nil
}
