package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/xenonmp/xme"
)

// Children is an executor of a few long-lived child processes, each with one call at a time. Its methods may be called
// concurrently.
type Children struct {
	free   chan *child // who has no call
	closed chan struct{}
	once   sync.Once
}

// OpenChildren makes an executor of n children, each started when it gets its first call. Whoever opened it closes it.
func OpenChildren(n int) *Children {
	x := &Children{free: make(chan *child, n), closed: make(chan struct{})}
	for range n {
		x.free <- &child{}
	}
	return x
}

// Submit accepts the first of the calls as soon as a child is free.
func (x *Children) Submit(ctx context.Context, calls []*xme.Call) (int, error) {
	if len(calls) == 0 {
		return 0, nil
	}
	c := calls[0]
	if err := refuse(c.Options()); err != nil {
		c.Finish(nil, err)
		return 1, nil
	}
	args, err := c.AppendArgs(nil) // now: afterwards the caller may change them
	if err != nil {
		c.Finish(nil, err)
		return 1, nil
	}
	select {
	case ch := <-x.free:
		go func() {
			body, err := ch.call(c.Context(), c.Name(), args)
			x.free <- ch
			c.Finish(body, err)
		}()
		return 1, nil
	case <-x.closed:
		return 0, xme.ErrClosed
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// refuse names an option that a call asks for and children cannot honour. Retries is no matter of an executor.
func refuse(o xme.CallOptions) error {
	for name, asked := range map[string]bool{
		"Timeout": o.Timeout != 0, "On": o.On != nil, "Fresh": o.Fresh, "Service": o.Service, "Memory": o.Memory != 0,
	} {
		if asked {
			return fmt.Errorf("option %s on child processes: %w", name, errors.ErrUnsupported)
		}
	}
	return nil
}

// Close lets no more calls in, waits for those that run and ends the children. Closing twice is fine.
func (x *Children) Close() {
	x.once.Do(func() {
		close(x.closed)
		for range cap(x.free) {
			(<-x.free).stop()
		}
	})
}
