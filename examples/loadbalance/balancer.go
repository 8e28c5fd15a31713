package main

import (
	"context"
	"errors"
	"net"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
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

// Submit implements xme.Executor.
func (b balancer) Submit(ctx context.Context, calls []*xme.Call) (int, error) {
	for i := range calls {
		if _, err := b.least().Submit(ctx, calls[i:i+1]); err != nil {
			return i, err
		}
	}
	return len(calls), nil
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

// serve serves f on a Unix socket, and connects with it. stop ends both.
func serve(ctx context.Context, socket string, f rpc.Function) (c *rpc.Client, stop func() error, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, nil, err
	}
	serving, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- rpc.Serve(serving, l, []rpc.Function{f}, rpc.Plain()) }()
	if c, err = rpc.Dial(ctx, "unix:"+socket, rpc.Plain()); err != nil {
		cancel()
		return nil, nil, errors.Join(err, <-ended)
	}
	return c, func() error {
		err := c.Close()
		cancel()
		return errors.Join(err, <-ended)
	}, nil
}

// callAll calls n times by way of a server whose function runs on b, all at once.
func callAll(ctx context.Context, socket string, b balancer, n int) (sum int, err error) {
	c, stop, err := serve(ctx, socket, rpc.Export(work, b))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	args := make([]int, n)
	for i := range args {
		args[i] = i
	}
	for r := range rpc.Stream[int, int](ctx, c, "work", args) {
		sum += r.Value
		err = errors.Join(err, r.Err)
	}
	return sum, err
}
