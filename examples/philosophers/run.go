package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

func run(ctx context.Context, n int, patience time.Duration, ordered bool) error {
	seats, err := lay(n, patience, ordered)
	if err != nil {
		return err
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: n}) // they all sit at the same time
	if err != nil {
		return err
	}
	defer pool.Close()
	ate := 0
	for why, err := range dine.Map(ctx, pool, slices.Values(seats)) {
		if err != nil {
			return err
		}
		if why != "" {
			fmt.Println(why)
		}
		ate++
	}
	fmt.Printf("%d of %d have eaten\n", ate, n)
	return nil
}

// lay lays a table. Its locks stay until the program ends.
func lay(n int, patience time.Duration, ordered bool) ([]seat, error) {
	forks := make([]*shm.Mutex, n)
	for i := range forks {
		var err error
		if forks[i], err = shm.NewMutex(); err != nil {
			return nil, err
		}
		forks[i].SetName(fmt.Sprint("fork ", i))
	}
	seated, err := shm.NewBarrier(n)
	if err != nil {
		return nil, err
	}
	seats := make([]seat, n)
	for i := range seats {
		seats[i] = seat{First: forks[i], Second: forks[(i+1)%n], Seated: seated}
	}
	seats[0].Patience = patience
	if ordered {
		for i := range seats {
			seats[i].Seated = nil // that they all have their first fork never comes
		}
		seats[n-1].First, seats[n-1].Second = seats[n-1].Second, seats[n-1].First
	}
	return seats, nil
}
