package main

import (
	"context"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// fill appends six calls, one of them another operator's, and returns the future of one.
func fill(ctx context.Context, m *manager.Manager, tally *manager.Object[Tally], theirs *manager.Queue) (*xme.Future[int], error) {
	names, err := manager.Get[[]string](ctx, m, manager.BuiltinsKey)
	if err != nil {
		return nil, err
	}
	fmt.Println("the manager's own:", names)
	for _, n := range []int{5, -1} {
		if _, err := add.Append(ctx, tally, n); err != nil {
			return nil, err
		}
	}
	squared := square.Go(ctx, m.Queue(), 3)
	if _, err := add.Append(ctx, tally, 7); err != nil {
		return nil, err
	}
	put := manager.Builtin{Name: "Table::update", Changes: []manager.Change{manager.Put("colour", "green"), manager.Put("size", 4)}}
	if _, err := m.Queue().Append(ctx, put); err != nil {
		return nil, err
	}
	_, err = theirs.Append(ctx, manager.Builtin{Name: "Table::get", Keys: []string{"colour"}})
	return squared, err
}
