// Manager is the original's section 2.2: a manager keeps a table of values that all processes see, has reserved tables, a queue of calls, a status of
// each process, and messages. Each of its functions is used here once, by the driver and by a task that is handed the manager.
//
// Where the original differs: its operators are names of so many characters that anybody could guess, or read; here one is a public number and a
// secret. Its single result of an operator's calls was overwritten by the next; here they come one after the other.
//
//	go run ./examples/original/manager
//
// feature: X1, X2, X3, X4, X5, X6, X7, X8
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// target shows the manager as it sees it, says how it is, and adds a key.
var target = xme.Register("target", func(ctx context.Context, m *manager.Manager) (string, error) {
	err := m.Status(ctx, "the task was here")
	return m.String(), errors.Join(err, manager.Set(ctx, m, "by a task", true))
})

func main() {
	xme.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	m, err := manager.Open(ctx, manager.Options{Secret: 32}) // bytes of an operator's secret
	if err != nil {
		return err
	}
	defer m.Close()
	err = m.Update(ctx, manager.Put("key", "the initial value"), manager.Put("a list key", []string{"value of this key"}))
	if err != nil {
		return err
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	if err != nil {
		return err
	}
	defer pool.Close()
	op, err := m.NewOperator(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%+v, beside %+v\n", op, m.Operator()) // no form shows a secret
	_, err = target.Call(ctx, pool, m.As(op))         // the table's lock is READWRITE: only ADMIN writes
	fmt.Println("refused:", errors.Is(err, manager.ErrNotAuthorised))
	text, err := target.Call(ctx, pool, m)
	if err != nil {
		return err
	}
	fmt.Println(text)
	return errors.Join(table(ctx, m), queue(ctx, m, op), messages(ctx, m))
}
