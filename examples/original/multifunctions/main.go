// Multifunctions is the original's section 1.2.2: several functions side by side in one table. First a choice of them, one twice; then two services
// that run for as long as there are clients; then a guard function beside them, as the original's gfuns has it, whose result stands first.
//
// Where the original differs: its services loop for ever, and take processes that rows need. Here a service row has a process of its own beside the
// pool's, and its context ends once the ordinary rows have; gfuns with its default arguments crashed.
//
//	go run ./examples/original/multifunctions
//
// feature: S1, S8, S10
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
)

var (
	square = xme.Register("square", func(_ context.Context, n int) (int, error) { return n * n, nil })
	cube   = xme.Register("cube", func(_ context.Context, n int) (int, error) { return n * n * n, nil })
	negate = xme.Register("negate", func(_ context.Context, n int) (int, error) { return -n, nil })
)

func main() {
	xme.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "multifunctions:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	pool, err := xme.Open(ctx, xme.Options{Workers: 1}) // the services need none of it
	if err != nil {
		return err
	}
	defer pool.Close()

	var table xme.Table
	var all []*xme.Rows[int]
	functions := []*xme.Func[int, int]{square, cube, negate}
	for i, f := range []int{0, 1, 0} { // the original's funum_array
		all = append(all, functions[f].Add(&table, xme.Repeat(1, i+2)))
	}
	if err := table.Run(ctx, pool); err != nil {
		return err
	}
	for _, rows := range all {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		fmt.Println(values[0])
	}
	return serve(ctx, pool)
}
