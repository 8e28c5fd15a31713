package main

import (
	"context"
	"os"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// killOne kills a worker once something has been counted, or a task has ended: it may have failed, and the others too.
func killOne(ctx context.Context, pool *xme.Pool, c *manager.Object[Counter], task *xme.Future[int]) error {
	for sum, ended := 0, false; sum == 0 && !ended; {
		select {
		case <-task.Done():
			ended = true
		case <-time.After(time.Millisecond):
		}
		var err error
		if sum, err = total.Call(ctx, c, struct{}{}); err != nil {
			return err
		}
	}
	for _, w := range pool.Workers() {
		if p, err := os.FindProcess(w.PID); w.State == xme.Busy && err == nil {
			return p.Kill()
		}
	}
	return nil // all have counted
}
