package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// several changes keys together.
func several(ctx context.Context, m *manager.Manager) error {
	err := m.Update(ctx, manager.Put("bob", Account{"Bob", 100}), manager.Drop("carl"))
	fmt.Println("no carl, so no bob:", errors.Is(err, manager.ErrNoKey))
	if err := m.Update(ctx, manager.Put("bob", Account{"Bob", 250}), manager.Put("ann", Account{"Ann", 400})); err != nil {
		return err
	}
	all, err := m.Values(ctx, "ann", "bob", "carl")
	if err != nil {
		return err
	}
	for name, v := range all.Items() {
		fmt.Println(name, "is", v)
	}
	if err := m.Table().Delete(ctx, "bob"); err != nil {
		return err
	}
	err = m.Table().Delete(ctx, manager.BuiltinsKey)
	fmt.Println("reserved:", errors.Is(err, manager.ErrReserved))
	return nil
}

// counter adds to a key until nobody came in between.
var counter = xme.Register("counter", func(ctx context.Context, m *manager.Manager) (int, error) {
	for {
		n, rev, err := manager.Load[int](ctx, m, "count")
		if err != nil && !errors.Is(err, manager.ErrNoKey) {
			return 0, err
		}
		if _, err = manager.CompareAndSwap(ctx, m, "count", rev, n+1); !errors.Is(err, manager.ErrConflict) {
			return n + 1, err
		}
	}
})

// together has n tasks count.
func together(ctx context.Context, m *manager.Manager, n int) error {
	pool, err := xme.Open(ctx, xme.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()
	for _, err := range counter.Map(ctx, pool, xme.Repeat(n, m)) {
		if err != nil {
			return err
		}
	}
	total, err := manager.Get[int](ctx, m, "count")
	fmt.Println("counted", total)
	return err
}

// show prints all that is left, and clears it.
func show(ctx context.Context, m *manager.Manager) error {
	fmt.Println(m)
	if err := m.Table().Clear(ctx); err != nil {
		return err
	}
	left, err := m.Table().Len(ctx)
	fmt.Println(left, "keys are left")
	return err
}
