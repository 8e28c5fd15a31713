package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

// triangle is main: rank 0. The others are the keys of the original's status.
func triangle(ctx context.Context, c *mpi.Comm, unit *xme.Func[sides, float64]) (right bool, err error) {
	p := [3]point{{0, 0}, {3, 0}, {0, 4}}
	to := c.Ranks()[0]
	second := unit.With(xme.On(to)).Go(ctx, c, sides{p[0], p[2]}) // a certain process
	third := unit.Go(ctx, c, sides{p[1], p[2]})                   // any; does not wait
	l01, err1 := unit.Call(ctx, c, sides{p[0], p[1]})             // waits
	l02, err2 := second.Wait(ctx)
	l12, err3 := third.Wait(ctx)
	if err := errors.Join(err1, err2, err3); err != nil {
		return false, err
	}
	fmt.Println("sides", l01, l02, l12)
	for _, all := range unit.Broadcast(ctx, c, sides{p[0], p[1]}) { // on every process
		l, err := all.Wait(ctx)
		if err != nil {
			return false, err
		}
		fmt.Println("broadcast", l)
	}
	a, b, d := l01*l01, l02*l02, l12*l12
	for _, w := range c.Workers() { // its status: none that has run a call is still being started
		fmt.Println("process", w.Rank, "was started:", w.State != xme.Starting)
	}
	if err := c.Close(to); err != nil { // one, once what it has accepted has ended
		return false, err
	}
	fmt.Println("left:", c.Ranks())
	return a+b == d || a+d == b || d+b == a, c.Close() // all
}
