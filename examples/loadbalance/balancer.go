package main

import (
	"context"
	"errors"

	"github.com/xenonmp/xme"
)

// sized is a pool whose size is known.
type sized struct {
	*xme.Pool
	workers int
}

// balancer is an executor: each call goes to one of several pools.
type balancer []sized

func openBalancer(ctx context.Context, workers ...int) (b balancer, err error) {
	for _, n := range workers {
		p, err := xme.Open(ctx, xme.Options{Workers: n})
		if err != nil {
			return nil, errors.Join(err, b.Close())
		}
		b = append(b, sized{p, n})
	}
	return b, nil
}

// Submit implements xme.Executor. It accepts one call at a time: the next may be for another pool.
func (b balancer) Submit(ctx context.Context, calls []*xme.Call) (int, error) {
	return b.least().Submit(ctx, calls[:min(1, len(calls))])
}

// least is the pool that has the least to do for each of its workers.
func (b balancer) least() *xme.Pool {
	best, least := b[0].Pool, 0.0
	for i, p := range b {
		s := p.Stats()
		if load := float64(s.Queued+s.Running) / float64(p.workers); i == 0 || load < least {
			best, least = p.Pool, load
		}
	}
	return best
}

// Close closes the pools.
func (b balancer) Close() (err error) {
	for _, p := range b {
		err = errors.Join(err, p.Close())
	}
	return err
}
