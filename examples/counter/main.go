// Counter has ten tasks, in processes of their own, count in one shared object: their methods never overlap, so that the sum is exact. With -kill one
// of the workers is killed meanwhile: what it had counted stays counted, once.
//
//	go run ./examples/counter
//	go run ./examples/counter -tasks 20 -n 100000 -kill
//	go run ./examples/counter -process               the object in a process of its own
//
// feature: M3, M4, X1, X7
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// Counter is the object: what each task has counted.
type Counter struct{ ByTask map[int]int }

// Add counts n for a task and returns what that makes.
func (c *Counter) Add(_ context.Context, a Addend) (int, error) {
	if a.N < 0 {
		return 0, fmt.Errorf("task %d counts down, by %d", a.Task, -a.N)
	}
	c.ByTask[a.Task] += a.N
	return c.ByTask[a.Task], nil
}

// Total returns the sum.
func (c *Counter) Total(context.Context, struct{}) (sum int, err error) {
	for _, n := range c.ByTask {
		sum += n
	}
	return sum, nil
}

// Addend is what a task adds.
type Addend struct{ Task, N int }

// The methods that any process may call: a type's own, registered once.
var (
	add   = manager.Method("add", (*Counter).Add)
	total = manager.Method("total", (*Counter).Total)
)

type job struct {
	Counter *manager.Object[Counter] // a handle: all tasks have the same object
	Task, N int
}

var count = xme.Register("count", func(ctx context.Context, j job) (last int, err error) {
	for range j.N {
		if last, err = add.Call(ctx, j.Counter, Addend{j.Task, 1}); err != nil {
			return 0, err
		}
	}
	return last, nil
})

func main() {
	xme.Init()
	tasks := flag.Int("tasks", 10, "how many `tasks` count")
	n := flag.Int("n", 1000, "how far each of them counts")
	kill := flag.Bool("kill", false, "kill a worker meanwhile")
	process := flag.Bool("process", false, "have the object live in a process of its own")
	flag.Parse()
	if err := run(context.Background(), *tasks, *n, *kill, *process); err != nil {
		fmt.Fprintln(os.Stderr, "counter:", err)
		os.Exit(1)
	}
}
