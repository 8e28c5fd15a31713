package main

import (
	"context"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

// onRanks runs the rows on the ranks of a communicator of size p, main included. Main hands them out; a goroutine
// of its takes the results in meanwhile.
//
//	go run ./examples/pi -n 100000000 -s 1000000 -p 3 -mpi
func onRanks(g game, count func(score)) error {
	return mpi.Run(context.Background(), mpi.Options{Size: g.p}, func(ctx context.Context, c *mpi.Comm) error {
		ctx, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		futures, done := make(chan *xme.Future[score], 1000), make(chan struct{})
		go func() {
			defer close(done)
			for f := range futures {
				s, err := f.Wait(ctx)
				if err != nil {
					stop(err) // ends the loop below, and the calls
					continue
				}
				count(s)
			}
		}()
		for darts := range g.rows() {
			if ctx.Err() != nil {
				break
			}
			futures <- scatter.Go(ctx, c, darts) // waits while the buffer is full
		}
		close(futures)
		<-done
		return context.Cause(ctx)
	})
}
