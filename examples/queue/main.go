// Queue has calls wait in a manager's queue and runs them by hand, one at a time, in order: a method of an object, a function of the function table,
// and functions of the manager's own, by the names that its table __XMEM__ has. Who appended a call has a future; its operator can fetch results too.
//
//	go run ./examples/queue
//
// feature: X4, X3
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// Tally is the object.
type Tally struct{ Sum int }

// Add adds n and returns the sum.
func (t *Tally) Add(_ context.Context, n int) (int, error) {
	if n < 0 {
		return t.Sum, fmt.Errorf("%d is negative", n)
	}
	t.Sum += n
	return t.Sum, nil
}

var (
	add    = manager.Method("add", (*Tally).Add)
	square = xme.Register("square", func(_ context.Context, n int) (int, error) { return n * n, nil })
)

func main() {
	xme.Init()
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "queue:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	m, err := manager.Open(ctx, manager.Options{Queue: 6}) // six calls at most
	if err != nil {
		return err
	}
	defer m.Close()
	tally, err := manager.Share(ctx, m, "tally", &Tally{})
	if err != nil {
		return err
	}
	guest, err := m.NewOperator(ctx)
	if err != nil {
		return err
	}
	theirs := m.Queue().As(guest)
	squared, err := fill(ctx, m, tally, theirs)
	if err != nil {
		return err
	}
	_, err = add.Append(ctx, tally, 1)
	fmt.Println("a seventh:", errors.Is(err, manager.ErrFull)) // nobody would make room
	if err := list(ctx, m.Queue()); err != nil {
		return err
	}
	if err := exec(ctx, m.Queue()); err != nil {
		return err
	}
	nine, err := squared.Wait(ctx)
	fmt.Println("the square is", nine, err)
	return results(ctx, m.Queue(), theirs)
}
