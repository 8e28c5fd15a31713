// MPI is the original's section 3 to 3.2, in both forms that its text has: a main that has two logical processes compute the sides of a triangle. In the
// one the computing unit is found by its name, in the other it is passed itself; a call waits, goes to a certain process, or to any that is free.
//
// Where the original differs: acquire with a target and block crashed, as did a list of targets, or ALL; a main that failed, or forgot to close, left
// its processes waiting for ever. Here what main returns ends them.
//
//	go run ./examples/original/mpi
//
// feature: P1, P2, P3, P5, P6, P7, P8
package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

type (
	point [2]float64
	sides struct{ P1, P2 point }
)

var distance = xme.Register("distance", func(_ context.Context, s sides) (float64, error) {
	return math.Hypot(s.P2[0]-s.P1[0], s.P2[1]-s.P1[1]), nil
})

func main() {
	xme.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "mpi:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	byName, err := xme.Lookup[sides, float64]("distance")
	if err != nil {
		return err
	}
	for form, unit := range []*xme.Func[sides, float64]{byName, distance} {
		right := false // what main returns, besides an error, it leaves in a variable of its caller's
		err = mpi.Run(ctx, mpi.Options{Size: 3}, func(ctx context.Context, c *mpi.Comm) (err error) {
			right, err = triangle(ctx, c, unit)
			return err
		})
		if err != nil {
			return err
		}
		fmt.Println("form", form+1, "right:", right)
	}
	errMain := errors.New("no triangle")
	err = mpi.Run(ctx, mpi.Options{Size: 2}, func(context.Context, *mpi.Comm) error { return errMain })
	fmt.Println("a main that fails:", errors.Is(err, errMain))
	err = mpi.Run(ctx, mpi.Options{Size: 1}, func(context.Context, *mpi.Comm) error { return nil })
	fmt.Println("one process is refused:", err != nil)
	return nil
}
