// Security is the original's section 2.3: a lock of each of the five kinds, for ADMIN, for an operator who was entitled, and for one who was not; who
// gives it back; what happens when a wait is over; and a lock of the user's own that guards a shared list and a table.
//
// Where the original differs: an acquire that failed returned a text, which an if takes for success, so that the lock was no lock; waits had no end,
// and giving back what is not held never returned. Here all of that is an error, at once or when the wait is over.
//
//	go run ./examples/original/security
//
// feature: K1, K2, K3, K4, K5
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

type ask struct {
	Lock *manager.Lock
	List *manager.List[int]
}

var (
	// enter appends to the list if it gets the lock.
	enter = xme.Register("enter", func(ctx context.Context, a ask) (bool, error) {
		return true, a.Lock.Do(ctx, func(*shm.OwnerDiedError) error { return a.List.Append(ctx, 0) })
	})
	// mark is the hook of a wait that is over: the caller gets its error.
	mark = xme.Register("mark", func(context.Context, manager.LockFailure) (struct{}, error) { return struct{}{}, errMark })

	errMark = xme.RegisterError("original/security.errMark", errors.New("a deadlock"))
)

func main() {
	xme.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "security:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		return err
	}
	defer pool.Close()
	sec, err := m.NewLock(ctx, manager.LockOptions{OnAcquire: mark}) // READWRITE
	if err != nil {
		return err
	}
	defer sec.Close()
	list, err := manager.NewList[int](ctx, m, "")
	if err != nil {
		return err
	}
	return errors.Join(kinds(ctx, m, pool, sec, list), held(ctx, pool, sec, list), guarded(ctx, m, sec))
}
