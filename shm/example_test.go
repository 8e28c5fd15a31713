package shm_test

import (
	"context"
	"fmt"
	"log"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// strip is a piece of an array, and what all that work on it have in common.
type strip struct {
	Data  *shm.Array[float64]
	Total *shm.Value[float64]
}

var scaleStrip = xme.Register("scaleStrip", func(_ context.Context, p strip) (int, error) {
	sum, s := 0.0, p.Data.Slice()
	for i := range s {
		s[i] *= 2 // in place: the driver sees it
		sum += s[i]
	}
	shm.Add(p.Total, sum)
	return len(s), nil
})

// Four tasks work on one array, each on a piece of its own, and add to one value. Nothing is copied.
func Example() {
	ctx := context.Background()
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	data, err := shm.NewArray[float64](1000)
	if err != nil {
		log.Fatal(err)
	}
	defer data.Close()
	for i := range data.Slice() {
		data.Slice()[i] = 1
	}
	total, err := shm.NewValue(0.0)
	if err != nil {
		log.Fatal(err)
	}
	defer total.Close()

	strips := func(yield func(strip) bool) {
		for lo := 0; lo < data.Len() && yield(strip{data.Part(lo, lo+250), total}); lo += 250 {
		}
	}
	for n, err := range scaleStrip.Map(ctx, pool, strips) {
		fmt.Println(n, err)
	}
	fmt.Println(data.Slice()[0], data.Slice()[999], total.Load())
	// Output:
	// 250 <nil>
	// 250 <nil>
	// 250 <nil>
	// 250 <nil>
	// 2 2 2000
}
