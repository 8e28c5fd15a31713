package main

import (
	"context"
	"errors"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// BasicServices is what the services have in common: where requests come from.
type BasicServices struct{ Requests *shm.Queue[int] }

// each has f called with every request, until ctx ends and there are no more.
func (s BasicServices) each(ctx context.Context, f func(int)) error {
	for n, err := s.Requests.Get(ctx); err == nil; n, err = s.Requests.Get(ctx) {
		f(n)
	}
	for {
		n, ok, err := s.Requests.TryGet()
		if err != nil || !ok {
			return err
		}
		f(n)
	}
}

type (
	ServicesA struct{ BasicServices } // adds up what it is sent
	ServicesB struct{ BasicServices } // counts it
	client    struct {
		A, B    *shm.Queue[int]
		Guarded *shm.Event // is set once the guard has begun: a service that has not when the clients end is cancelled
		N       int
	}
)

func (s ServicesA) Main(ctx context.Context) (sum int, err error) {
	err = s.each(ctx, func(n int) { sum += n })
	return sum, err
}

func (s ServicesB) Main(ctx context.Context) (n int, err error) {
	err = s.each(ctx, func(int) { n++ })
	return n, err
}

// A method is registered as a function of its receiver.
var (
	mainA = xme.Register("mainA", func(ctx context.Context, s ServicesA) (int, error) { return s.Main(ctx) })
	mainB = xme.Register("mainB", func(ctx context.Context, s ServicesB) (int, error) { return s.Main(ctx) })
	guard = xme.Register("guard", func(ctx context.Context, begun *shm.Event) (string, error) {
		err := begun.Set()
		<-ctx.Done()
		return "all clients have ended", err
	})
	ask = xme.Register("ask", func(ctx context.Context, c client) (bool, error) {
		return true, errors.Join(c.Guarded.Wait(ctx), c.A.Put(ctx, c.N), c.B.Put(ctx, c.N))
	})
)
