// Unavailable is the original's section 4: what cannot be handed to another process. Open files and managers with their locks, which it refuses, cross
// here. A local function cannot cross in any form: the mistake is found when it is made, with a text that says what to write.
//
//	go run ./examples/original/unavailable
//
// feature: U1, U2, U5
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// open is what the original refuses: an open file, a manager, and its lock.
type open struct {
	File *os.File
	M    *manager.Manager
	Lock *manager.Lock
}

type sum struct{ X, Y int }

var (
	write = xme.Register("write", func(ctx context.Context, o open) (string, error) {
		if err := o.Lock.Acquire(ctx); err != nil {
			return "", err
		}
		_, err := o.File.WriteString("written by a task")
		return "under its lock", errors.Join(err, manager.Set(ctx, o.M, "key", "set by a task"), o.Lock.Release(ctx))
	})
	add = xme.Register("add", func(_ context.Context, s sum) (int, error) { return s.X + s.Y, nil })
)

func main() {
	xme.Init()
	if err := errors.Join(files(context.Background()), functions(context.Background())); err != nil {
		fmt.Fprintln(os.Stderr, "unavailable:", err)
		os.Exit(1)
	}
}

// mistake says what a registration panics with, its first line; "none" if it does not.
func mistake(register func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text, _, _ = strings.Cut(fmt.Sprint(r), "\n")
		}
	}()
	register()
	return "none"
}
