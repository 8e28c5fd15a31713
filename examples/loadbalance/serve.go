package main

import (
	"context"
	"errors"
	"net"

	"github.com/xenonmp/xme/monitor/rpc"
)

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
