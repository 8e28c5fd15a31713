package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
)

// call is the client.
func call(ctx context.Context, at string) error {
	c, err := rpc.Dial(ctx, at, rpc.Plain())
	if err != nil {
		return err
	}
	defer c.Close()
	for _, name := range []string{"add", "mul", "fail", "div"} {
		v, err := rpc.Call[arguments, float64](ctx, c, name, arguments{Args: []float64{3, 4}, Kwargs: map[string]float64{"b": 5}})
		switch {
		case err == nil:
			fmt.Println(name, v)
		case errors.Is(err, xme.ErrPanic):
			fmt.Println(name, "panicked there")
		case errors.Is(err, rpc.ErrUnknownFunction):
			fmt.Println(name, "is not there")
		default:
			return err
		}
	}
	return nil
}
