// Guard has ten tasks append a hundred calls each to the queue of an object's manager. A guard, a service row of the same table, runs them one at a
// time, in a process of its own. Each task then asks it to end: it does once all ten are done, so that no call is left, and the sum is 1000.
//
//	go run ./examples/guard
//	go run ./examples/guard -tasks 20 -n 1000
//
// feature: G1, G2, X3
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// V is the object.
type V struct{ Value int }

// Add adds n.
func (v *V) Add(_ context.Context, n int) (int, error) {
	v.Value += n
	return v.Value, nil
}

var add = manager.Method("add", (*V).Add)

type job struct {
	M *manager.Manager
	V *manager.Object[V]
	N int
}

var count = xme.Register("count", func(ctx context.Context, j job) (struct{}, error) {
	for range j.N {
		if _, err := add.Append(ctx, j.V, 1); err != nil {
			return struct{}{}, err
		}
	}
	stop := manager.Put(manager.GuardKey, manager.GuardState{})
	_, err := j.M.Queue().Append(ctx, manager.Builtin{Name: "Table::update", Changes: []manager.Change{stop}})
	return struct{}{}, err
})

func main() {
	xme.Init()
	tasks := flag.Int("tasks", 10, "how many `tasks` append")
	n := flag.Int("n", 100, "how many `calls` each of them appends")
	flag.Parse()
	if err := run(context.Background(), *tasks, *n); err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		os.Exit(1)
	}
}
