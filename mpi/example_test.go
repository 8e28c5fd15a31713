package mpi_test

import (
	"context"
	"fmt"
	"log"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

// integral integrates 4/(1+x²) from 0 to 1. Each rank takes every size-th of n strips; all have the sum.
var integral = xme.Register("integral", func(ctx context.Context, n int) (float64, error) {
	c := mpi.From(ctx)
	part := 0.0
	for i := c.Rank(); i < n; i += c.Size() {
		x := (float64(i) + 0.5) / float64(n)
		part += 4 / (1 + x*x) / float64(n)
	}
	return mpi.Allreduce(ctx, c, part, mpi.Sum)
})

// Three processes that talk to each other. For a main that calls functions on ranks see Run.
func Example() {
	pi, err := mpi.Spawn(context.Background(), mpi.Options{Size: 3}, integral, 100_000)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.6f %.6f %.6f\n", pi[0], pi[1], pi[2])
	// Output: 3.141593 3.141593 3.141593
}
