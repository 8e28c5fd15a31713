package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// serve has ten clients use both services, beside a guard function.
func serve(ctx context.Context, pool *xme.Pool) error {
	a, errA := shm.NewQueue[int](4)
	b, errB := shm.NewQueue[int](4)
	begun, err := shm.NewEvent()
	if err := errors.Join(errA, errB, err); err != nil {
		return err
	}
	defer a.Close()
	defer b.Close()
	defer begun.Close()
	var table xme.Table
	first := guard.With(xme.Service()).Add(&table, xme.Repeat(1, begun))
	sum := mainA.With(xme.Service()).Add(&table, xme.Repeat(1, ServicesA{BasicServices{a}}))
	count := mainB.With(xme.Service()).Add(&table, xme.Repeat(1, ServicesB{BasicServices{b}}))
	ask.Add(&table, xme.Split(func(i int) client { return client{a, b, begun, i} }, make(xme.Array[int], 10)))
	if err := table.Run(ctx, pool); err != nil {
		return err
	}
	text, err1 := first.Values()
	s, err2 := sum.Values()
	n, err3 := count.Values()
	fmt.Println(text[0], s[0], n[0])
	return errors.Join(err1, err2, err3)
}
