package main

import (
	"context"
	"errors"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// work has tasks post entries, kills a worker and the guard meanwhile, and adds up what the tasks say that came to an end.
func work(ctx context.Context, m *manager.Manager, pool *xme.Pool, tasks, n, kills int) (all receipt, lost int, err error) {
	if _, err := all.post(ctx, m, tasks); err != nil { // once it is written the guard is there
		return all, 0, err
	}
	var writing []*xme.Future[receipt]
	for t := range tasks {
		writing = append(writing, write.Go(ctx, pool, job{m, t, n}))
	}
	for range kills {
		guard, err := all.post(ctx, m, tasks)
		if err != nil {
			return all, 0, err
		}
		if err := kill(pool, guard); err != nil {
			return all, 0, err
		}
	}
	for _, w := range writing {
		r, err := w.Wait(ctx)
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

// post posts entries of the driver's own until one is written, and returns by which process that was: by the guard.
func (r *receipt) post(ctx context.Context, m *manager.Manager, task int) (pid int, err error) {
	for {
		e := Entry{task, len(r.Written) + len(r.Doubtful)}
		pid, err = post.Call(ctx, m.Queue(), e)
		switch {
		case err == nil:
			r.Written = append(r.Written, e)
			return pid, nil
		case errors.Is(err, manager.ErrGuardLost):
			r.Doubtful = append(r.Doubtful, e)
		default:
			return 0, err
		}
	}
}
