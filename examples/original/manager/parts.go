package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// table: get_table, items, delete, and the reserved tables.
func table(ctx context.Context, m *manager.Manager) error {
	if err := m.Table().Delete(ctx, "a list key"); err != nil {
		return err
	}
	all, err := m.Values(ctx)
	for key, v := range all.Items() {
		if key != manager.BuiltinsKey {
			fmt.Println(key, v)
		}
	}
	names, errNames := manager.Get[[]string](ctx, m, manager.BuiltinsKey)
	fmt.Println(manager.BuiltinsKey, len(names), "functions,", names[0], "for one")
	errSet := manager.Set(ctx, m, manager.StatusKey, 0)
	fmt.Println("written:", errors.Is(errSet, manager.ErrReserved))
	return errors.Join(err, errNames)
}

var double = xme.Register("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

// queue: append, len, get_buffers, exec, get, clean.
func queue(ctx context.Context, m *manager.Manager, op manager.Operator) error {
	q := m.Queue().As(op)
	for i := range 3 {
		double.Go(ctx, q, i+1)
	}
	last, err := m.Queue().Append(ctx, manager.Builtin{Name: "Table::set", Changes: []manager.Change{manager.Put("key", "queued")}})
	if err != nil {
		return err
	}
	n, errLen := q.Len(ctx)
	b, errBuffers := q.Buffers(ctx)
	fmt.Println(n, "calls are queued, the first is", b.Queued[0].Name)
	for ran := true; ran && err == nil; {
		ran, err = q.Exec(ctx)
	}
	for range 2 {
		r, errResult := q.Result(ctx)
		v, errAs := manager.As[int](r.Value)
		fmt.Println(r.Name, v)
		err = errors.Join(err, errResult, errAs)
	}
	left, errClean := q.Clean(ctx)
	fmt.Println(left, "result was not fetched")
	_, errLast := last.Wait(ctx)
	return errors.Join(err, errLen, errBuffers, errClean, errLast)
}

// messages: update_msg, copy_msg, get_msg, delete_msg.
func messages(ctx context.Context, m *manager.Manager) error {
	err := manager.Set(ctx, m.Messages(), "gone by the copy", 1)
	errCopy := m.CopyMsg(ctx)
	all, errAll := m.Messages().Values(ctx)
	for key, v := range all.Items() {
		fmt.Println("message", key, v)
	}
	errDelete := m.Messages().Delete(ctx, "by a task")
	n, errLen := m.Messages().Len(ctx)
	fmt.Println(n, "message is left")
	snapshot, errSnapshot := m.Snapshot(ctx)
	fmt.Println("a snapshot in JSON:", len(snapshot) > 0)
	return errors.Join(err, errCopy, errAll, errDelete, errLen, errSnapshot)
}
