package xme_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/xenonmp/xme"
)

// darts throws n darts at a square, and counts those that hit the circle within.
var darts = xme.Register("darts", func(ctx context.Context, n int) (int, error) {
	rnd := rand.New(rand.NewPCG(xme.Seed(ctx), 0)) // the same for a row, whichever worker runs it
	hits := 0
	for range n {
		if x, y := rnd.Float64(), rnd.Float64(); x*x+y*y <= 1 {
			hits++
		}
	}
	return hits, nil
})

// Pi, from a million darts in ten rows. In a program this is main, and begins with xme.Init().
func Example() {
	ctx := context.Background()
	pool, err := xme.Open(ctx, xme.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	total := 0
	for hits, err := range darts.Map(ctx, pool, xme.Repeat(10, 100_000)) {
		if err != nil {
			log.Fatal(err)
		}
		total += hits
	}
	fmt.Printf("%.2f\n", 4*float64(total)/1_000_000)
	// Output: 3.14
}
