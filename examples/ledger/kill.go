package main

import (
	"context"
	"errors"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// disturb kills as often as it is told, unless the tasks have ended before.
func (r *receipt) disturb(ctx context.Context, m *manager.Manager, pool *xme.Pool, task, kills int) error {
	for range kills {
		guard, err := r.post(ctx, m, task)
		switch {
		case errors.Is(err, manager.ErrGuardStopped) || ctx.Err() != nil:
			return nil //nolint:nilerr // there is nobody left to kill
		case err != nil:
			return err
		}
		if err := kill(pool, guard); err != nil {
			return err
		}
	}
	return nil
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

// kill kills a busy worker, if there is one, and the guard.
func kill(pool *xme.Pool, guard int) error {
	pids := []int{guard}
	for _, w := range pool.Workers() {
		if w.State == xme.Busy && w.PID != guard {
			pids = append(pids, w.PID)
			break
		}
	}
	for _, pid := range pids {
		p, err := os.FindProcess(pid)
		if err == nil {
			err = p.Kill()
		}
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	return nil
}
