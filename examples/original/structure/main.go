// Structure is the original's section 1.1: a function table, and an execution table of what to run with which arguments. Rows come by arrays: funa
// twice, funb once; then the special cases: an array of ten values beside one of three, and ten rows for five processes.
//
// Where the original differs: functions are named when they are registered, not given to the pool; results are typed, and come row by row; and a
// short array repeats its last value, as its text says (the original itself passed None).
//
//	go run ./examples/original/structure
//
// feature: S1, S3, S4, S5, S6
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

func main() {
	xme.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "structure:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	pool, err := xme.Open(ctx, xme.Options{Workers: 5})
	if err != nil {
		return err
	}
	defer pool.Close()

	var table xme.Table
	a := xme.Array[int]{0, 1}
	rowsA := funa.Add(&table, xme.Split(func(i int) abc { return abc{A: a.At(i), B: 1, C: 1} }, a))
	rowsB := funb.Add(&table, xme.Repeat(1, 10))
	if err := table.Run(ctx, pool); err != nil {
		return err
	}
	for _, rows := range []*xme.Rows[string]{rowsA, rowsB} {
		for line, err := range rows.All() {
			fmt.Println(line, err)
		}
	}

	fmt.Println("special case 1:")
	ten, three := make(xme.Array[int], 10), xme.Array[string]{"b1", "b2", "b3"}
	for i := range ten {
		ten[i] = i
	}
	for line, err := range pair.Map(ctx, pool, xme.Split(func(i int) ab { return ab{ten.At(i), three.At(i)} }, ten, three)) {
		if err != nil {
			return err
		}
		fmt.Println(line)
	}

	fmt.Println("special case 2:")
	five, err := shm.NewBarrier(5)
	if err != nil {
		return err
	}
	defer five.Close()
	begun, err := shm.NewValue(0)
	if err != nil {
		return err
	}
	defer begun.Close()
	return queued(ctx, pool, turn{five, begun})
}
