package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// kinds has three operators enter, under a lock of each kind.
func kinds(ctx context.Context, m *manager.Manager, pool *xme.Pool, sec *manager.Lock, list *manager.List[int]) error {
	named, err1 := m.NewOperator(ctx)
	other, err2 := m.NewOperator(ctx)
	if err := errors.Join(err1, err2, sec.Authorize(ctx, named), sec.Register(ctx, named)); err != nil {
		return err
	}
	for _, k := range []manager.Kind{manager.Disable, manager.Mutex, manager.Authorisation, manager.ReadWrite, manager.Spin} {
		if err := sec.SetKind(ctx, k); err != nil { // all processes see it at once
			return err
		}
		fmt.Print(k)
		for _, op := range []manager.Operator{m.Operator(), named, other} {
			in, err := enter.Call(ctx, pool, ask{sec.As(op), list})
			if err != nil && !errors.Is(err, manager.ErrNotAuthorised) {
				return err
			}
			fmt.Print(" ", in && err == nil)
		}
		fmt.Println()
	}
	n, err := list.Len(ctx)
	fmt.Println("the list has", n)
	return errors.Join(err, sec.Register(ctx, m.Operator()))
}

// held has a task ask for what the driver has.
func held(ctx context.Context, pool *xme.Pool, sec *manager.Lock, list *manager.List[int]) error {
	err := errors.Join(sec.SetKind(ctx, manager.Mutex), sec.SetWait(ctx, 20*time.Millisecond), sec.Acquire(ctx), sec.Acquire(ctx))
	if err != nil {
		return err
	}
	_, err = enter.Call(ctx, pool, ask{sec, list})
	fmt.Println("a wait that is over:", errors.Is(err, errMark))
	fmt.Println("given back:", sec.Release(ctx) == nil, "twice:", errors.Is(sec.Release(ctx), manager.ErrNotHolder))
	_, err = enter.Call(ctx, pool, ask{sec, list})
	fmt.Println("then the task is let in:", err == nil)
	return err
}

// guarded has changes of a table take the user's lock.
func guarded(ctx context.Context, m *manager.Manager, sec *manager.Lock) error {
	table := m.Messages().Guarded(sec)
	holder := sec.As(m.Operator())
	if err := holder.Acquire(ctx); err != nil {
		return err
	}
	err := manager.Set(ctx, table, "key", 1)
	fmt.Println("a table under the lock waits for its holder:", errors.Is(err, errMark))
	if err := holder.Release(ctx); err != nil {
		return err
	}
	return manager.Set(ctx, table, "key", 2)
}
