// Sharedvariables is the original's section 2.1: what processes share are arguments like others, and stand in one table beside an array that is split:
// a value, an array and its lock, a queue, a list, a map, and an object of a class of the program's own.
//
// Where the original differs: its variables are multiprocessing's and its objects proxies, each use of which is a message. Here what package shm has
// lies in memory that all processes map, and an object's methods are typed, called one at a time. Neither has fields that others reach.
//
//	go run ./examples/original/sharedvariables
//
// feature: M1, M2, M3, M4
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// Class is the object's.
type Class struct{ Calls int }

// Add counts n calls and returns how many they are.
func (c *Class) Add(_ context.Context, n int) (int, error) {
	c.Calls += n
	return c.Calls, nil
}

var (
	newClass = manager.Constructor("Class_Name", func(_ context.Context, calls int) (*Class, error) { return &Class{calls}, nil })
	add      = manager.Method("add", (*Class).Add)
)

func main() {
	xme.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "sharedvariables:", err)
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
	v, err := newVariables(ctx, m)
	if err != nil {
		return err
	}
	defer v.close()
	b := make(xme.Array[int], 10)
	for i := range b {
		b[i] = i
	}
	var table xme.Table
	funa.Add(&table, xme.Split(func(i int) row { return row{v, b.At(i)} }, b)) // ten rows: v in each, b split
	funa.Add(&table, xme.Repeat(1, row{v, 10}))
	if err := table.Run(ctx, pool); err != nil {
		return err
	}
	return v.show(ctx)
}
