// Triangle tells whether three points make a right triangle: the distances between them are computed by the ranks of a
// communicator, whose main asks for them in three ways, and by a plain loop.
//
//	go run ./examples/triangle 0 0 3 0 0 4
//
// feature: P1, P3, P5, P8
package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

type (
	point struct{ X, Y float64 }
	pair  struct{ A, B point }
)

var distance = xme.Register("distance", func(_ context.Context, p pair) (float64, error) { return between(p), nil })

func between(p pair) float64 { return math.Hypot(p.A.X-p.B.X, p.A.Y-p.B.Y) }

// right reports whether sides make a right triangle.
func right(a, b, c float64) bool {
	longest := max(a, b, c)
	return math.Abs(a*a+b*b+c*c-2*longest*longest) < 1e-9*longest*longest
}

// solve is main's program. What it returns besides an error it leaves in variables of its caller's.
func solve(ctx context.Context, c *mpi.Comm, p [3]point) (a, b, d float64, err error) {
	for w := range c.Watch(ctx) { // the ranks, as they are; the loop would go on with what they become
		fmt.Printf("rank %d is there\n", w.Rank)
		if w.Rank == c.Size()-1 {
			break
		}
	}
	second := distance.With(xme.On(2)).Go(ctx, c, pair{p[0], p[2]}) // rank 2 alone
	third := distance.Go(ctx, c, pair{p[1], p[2]})                  // whichever is free first
	a, err1 := distance.Call(ctx, c, pair{p[0], p[1]})              // waits for the result
	b, err2 := second.Wait(ctx)
	d, err3 := third.Wait(ctx)
	return a, b, d, errors.Join(err1, err2, err3)
}

func main() {
	xme.Init()
	n, args := [6]float64{0, 0, 3, 0, 0, 4}, os.Args[1:] // no flags: a number may begin with a minus
	var err error
	if len(args) != 0 && len(args) != len(n) {
		err = fmt.Errorf("%d arguments: give the coordinates of three points, 0 0 3 0 0 4, say, or none", len(args))
	}
	for i := 0; err == nil && i < len(args); i++ {
		n[i], err = strconv.ParseFloat(args[i], 64)
	}
	p := [3]point{{n[0], n[1]}, {n[2], n[3]}, {n[4], n[5]}}
	var a, b, d float64
	if err == nil { // main is rank 0, and there are two more
		err = mpi.Run(context.Background(), mpi.Options{Size: 3}, func(ctx context.Context, c *mpi.Comm) (err error) {
			a, b, d, err = solve(ctx, c, p)
			return err
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "triangle:", err)
		os.Exit(1)
	}
	serial := right(between(pair{p[0], p[1]}), between(pair{p[0], p[2]}), between(pair{p[1], p[2]}))
	fmt.Printf("sides %g %g %g, right: %v, by a plain loop: %v\n", a, b, d, right(a, b, d), serial)
}
