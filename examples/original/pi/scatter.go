package main

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

type result struct{ Balls, Within int }

// scatter is the computing unit.
var scatter = xme.Register("scatter", func(ctx context.Context, balls int) (result, error) {
	return fall(xme.Seed(ctx), balls), nil
})

func fall(seed uint64, balls int) result {
	rnd, r := rand.New(rand.NewPCG(seed, 1)), result{Balls: balls}
	for range balls {
		if x, y := 2*rnd.Float64()-1, 2*rnd.Float64()-1; x*x+y*y <= 1 {
			r.Within++
		}
	}
	return r
}

func (r *result) add(o result) { r.Balls, r.Within = r.Balls+o.Balls, r.Within+o.Within }

// handOut is main. Go waits while the buffer, of 255 calls, is full.
func handOut(ctx context.Context, c *mpi.Comm, nums, subnums int) (all result, err error) {
	calls, collected := make(chan *xme.Future[result], 255), make(chan error, 1)
	go func() {
		var failed error
		for f := range calls {
			r, err := f.Wait(ctx)
			all.add(r)
			failed = errors.Join(failed, err)
		}
		collected <- failed
	}()
	for range nums / subnums {
		calls <- scatter.Go(ctx, c, subnums)
	}
	rest := fall(0, nums%subnums)
	close(calls)
	err = <-collected
	all.add(rest)
	return all, err
}
