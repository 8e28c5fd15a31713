package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// run shows one lock, which is made one of each kind in turn.
func run(ctx context.Context, on xme.Executor, show []manager.Kind) error {
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	clerk, err := m.NewOperator(ctx)
	if err != nil {
		return err
	}
	lock, err := m.NewLock(ctx, manager.LockOptions{Name: "count", Kind: show[0]})
	if err != nil {
		return err
	}
	defer lock.Close()
	n, err := shm.NewArray[int64](1)
	if err != nil {
		return err
	}
	defer n.Close()
	for _, k := range show {
		if err := lock.SetKind(ctx, k); err != nil {
			return err
		}
		n.Slice()[0] = 0
		admins := count.Go(ctx, on, task{lock, n})
		clerks := count.Go(ctx, on, task{lock.As(clerk), n})
		a, errA := admins.Wait(ctx)
		c, errC := clerks.Wait(ctx)
		fmt.Printf("%-13v %s; %s; ", k, outcome("ADMIN", a, errA), outcome("clerk", c, errC))
		if k == manager.Disable {
			fmt.Println("nobody kept out")
		} else {
			fmt.Println("counted", n.Slice()[0])
		}
	}
	return held(ctx, on, lock, n)
}

func outcome(who string, n int, err error) string {
	if errors.Is(err, manager.ErrNotAuthorised) {
		return who + " is not entitled"
	}
	if err != nil {
		return who + ": " + err.Error()
	}
	return fmt.Sprint(who, " ", n)
}

// held shows a lock that the driver has, and one that a task leaves.
func held(ctx context.Context, on xme.Executor, lock *manager.Lock, n *shm.Array[int64]) error {
	if err := errors.Join(lock.SetKind(ctx, manager.Mutex), lock.Acquire(ctx), lock.SetWait(ctx, 20*time.Millisecond)); err != nil {
		return err
	}
	_, err := count.Call(ctx, on, task{lock, n})
	fmt.Println("held by the driver: the task's wait is over:", errors.Is(err, context.DeadlineExceeded))
	fmt.Println("given back:", lock.Release(ctx), "and once more:", errors.Is(lock.Release(ctx), manager.ErrNotHolder))
	_, err = forget.Call(ctx, on, task{lock, n})
	fmt.Println("a task forgets:", err, "and the next one is told:", errors.Is(lock.Acquire(ctx), shm.ErrOwnerDied))
	return lock.Release(ctx)
}
