package mpi_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

var greet = xme.Register("greet", func(ctx context.Context, name string) (string, error) {
	return fmt.Sprintf("%s from rank %d", name, xme.Rank(ctx)), nil
})

// A broadcast runs once on each rank; calls may be aimed at one of several ranks, and made
// from any goroutine. A rank that is closed takes no more.
//
// feature: P1, P3, P6, P7, P10
func ExampleRun() {
	err := mpi.Run(context.Background(), mpi.Options{Size: 3}, func(ctx context.Context, c *mpi.Comm) error {
		for _, f := range greet.With(xme.On(2, 1)).Broadcast(ctx, c, "hello") {
			s, err := f.Wait(ctx)
			if err != nil {
				return err
			}
			fmt.Println(s)
		}
		if err := c.Close(1); err != nil {
			return err
		}
		_, err := greet.With(xme.On(1)).Call(ctx, c, "too late")
		fmt.Println(err)

		var wg sync.WaitGroup
		results := make([]string, 3)
		for i := range results {
			wg.Go(func() { results[i], _ = greet.With(xme.On(1, 2)).Call(ctx, c, "goodbye") })
		}
		wg.Wait()
		fmt.Println(results)
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// hello from rank 2
	// hello from rank 1
	// xme: github.com/xenonmp/xme/mpi_test.greet: closed: rank 1 is closed
	// [goodbye from rank 2 goodbye from rank 2 goodbye from rank 2]
}

// The states of ranks are those of the pool's workers.
//
// feature: P8
func ExampleComm_Watch() {
	err := mpi.Run(context.Background(), mpi.Options{Size: 2}, func(ctx context.Context, c *mpi.Comm) error {
		for w := range c.Watch(ctx) {
			if w.State == xme.Idle {
				break // it is up
			}
		}
		if err := c.Close(); err != nil {
			return err
		}
		for w := range c.Watch(ctx) {
			fmt.Printf("rank %d: %v\n", w.Rank, w.State)
			break
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: rank 1: retired
}
