// Monitor is the original's section 2.4: a table of messages, under a lock, with a text, a shared list and a shared map in it, that tasks see and
// change; and all of it as one sealed text that another table takes up.
//
// Where the original differs: its default lock refused every update, its single reads and its marshal failed, and what it called encryption swapped
// the halves of each byte. Here a message is sealed with a key that the processes of a program have in common; a changed byte is an error.
//
//	go run ./examples/original/monitor
//
// feature: M2, N1, N2, K5
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
)

// fun reads the messages and adds to the list and to the map that are in them.
var fun = xme.Register("fun", func(ctx context.Context, mon *monitor.Monitor) (string, error) {
	a, err1 := monitor.Get[string](ctx, mon, "a")
	b, err2 := monitor.Get[*manager.List[string]](ctx, mon, "b")
	c, err3 := monitor.Get[*manager.Map[string, string]](ctx, mon, "c")
	if err := errors.Join(err1, err2, err3); err != nil {
		return "", err
	}
	err := errors.Join(b.Append(ctx, "and a task's"), c.Set(ctx, "task", "was here"))
	return a, errors.Join(err, monitor.Set(ctx, mon, "array", []float64{1, 2.5}))
})

func main() {
	xme.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "monitor:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	pool, err := xme.Open(ctx, xme.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()
	sec, err := m.NewLock(ctx, manager.LockOptions{Kind: manager.Mutex})
	if err != nil {
		return err
	}
	defer sec.Close()
	mon := monitor.New(monitor.Options{Manager: m, Lock: sec})
	b, err1 := manager.NewList(ctx, m, "", "This is a list message")
	c, err2 := manager.NewMap[string, string](ctx, m, "")
	if err := errors.Join(err1, err2, c.Set(ctx, "key", "This is a dict message")); err != nil {
		return err
	}
	err = mon.Update(ctx, monitor.Put("a", "This is a string message"), monitor.Put("b", b), monitor.Put("c", c))
	if err != nil {
		return err
	}
	a, err := fun.Call(ctx, pool, mon)
	if err != nil {
		return err
	}
	fmt.Println("a task read:", a)
	return errors.Join(show(ctx, mon), send(ctx, mon))
}
