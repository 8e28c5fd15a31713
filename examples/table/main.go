// Table keeps values in a manager: it sets, reads, changes several at once or none, swaps one if nobody else has, and deletes. Then
// tasks count in it together.
//
//	go run ./examples/table -n 20
//
// feature: X2, X8
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// Account is a value of a type of the program's own.
type Account struct {
	Owner string
	Cents int
}

func main() {
	xme.Init()
	n := flag.Int("n", 10, "how many `tasks` count")
	flag.Parse()
	if err := run(context.Background(), *n); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, n int) error {
	if n < 1 || flag.NArg() > 0 {
		return fmt.Errorf("-n %d %q: n is 1 or more, and there are no arguments", n, flag.Args())
	}
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	return errors.Join(single(ctx, m), several(ctx, m), together(ctx, m, n), show(ctx, m))
}

// single sets and reads keys one by one.
func single(ctx context.Context, m *manager.Manager) error {
	if err := manager.Set(ctx, m, "ann", Account{"Ann", 500}); err != nil {
		return err
	}
	ann, rev, err := manager.Load[Account](ctx, m, "ann")
	if err != nil {
		return err
	}
	fmt.Println("ann has", ann.Cents)
	ann.Cents += 50
	if _, err := manager.CompareAndSwap(ctx, m, "ann", rev, ann); err != nil {
		return err
	}
	_, err = manager.CompareAndSwap(ctx, m, "ann", rev, ann)
	fmt.Println("swapped again:", errors.Is(err, manager.ErrConflict))
	_, err = manager.Get[int](ctx, m, "ann")
	fmt.Println("as an int:", errors.Is(err, manager.ErrType))
	_, err = manager.Get[Account](ctx, m, "bob")
	fmt.Println("bob:", errors.Is(err, manager.ErrNoKey))
	return nil
}
