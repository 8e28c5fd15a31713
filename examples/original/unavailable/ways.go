package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// files is section 4.1.
func files(ctx context.Context) error {
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	if err != nil {
		return err
	}
	defer pool.Close()
	file, err := os.CreateTemp("", "unavailable")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	defer file.Close()
	how, err := write.Call(ctx, pool, open{file, m, m.Lock()})
	text, errRead := os.ReadFile(file.Name())
	value, errGet := manager.Get[string](ctx, m, "key")
	fmt.Printf("%s: %s, %s\n", how, text, value)
	return errors.Join(err, errRead, errGet)
}

// functions is section 4.2: x is 50, and y from 0 to 99.
func functions(ctx context.Context) error {
	x := 50
	fmt.Println("a local function:", mistake(func() {
		xme.Register("target", func(_ context.Context, y int) (int, error) { return x + y, nil })
	}))
	fmt.Println("a function as an argument:", mistake(func() {
		xme.Register("apply", func(_ context.Context, a struct{ F func(int) int }) (int, error) { return a.F(x), nil })
	}))
	pool, err := xme.Open(ctx, xme.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()
	total, y := 0, make(xme.Array[int], 100)
	for i := range y {
		y[i] = i
	}
	for n, err := range add.Map(ctx, pool, xme.Split(func(i int) sum { return sum{x, y.At(i)} }, y)) {
		if err != nil {
			return err
		}
		total += n
	}
	fmt.Println("what it closes over, as an argument:", total)
	return nil
}
