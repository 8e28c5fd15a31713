// Arguments is the special note at the end of the original's section 1.2.2: functions with keywords of their caller's choice (**kwargs) and with any
// number of values (*args), together with an array that is split.
//
// Where the original differs: keywords that it did not know were dropped, a keyword that skipped another landed in the wrong place, and after *args
// every other parameter was lost. Here an argument is a struct, whose fields are the keywords; a map and a slice in it are crossed whole, and what
// cannot cross is refused when the function is registered.
//
//	go run ./examples/original/arguments
//
// feature: S4, S9
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
)

type keywords struct {
	A0     int
	A1, A2 string
	Kwargs map[string]any
}

type values struct {
	Args   []int
	A1, A2 string
}

var (
	note1 = xme.Register("note1", func(_ context.Context, v keywords) (string, error) { return fmt.Sprintf("%+v", v), nil })
	note2 = xme.Register("note2", func(_ context.Context, v values) (string, error) { return fmt.Sprintf("%+v", v), nil })
)

func main() {
	xme.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "arguments:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	pool, err := xme.Open(ctx, xme.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()
	a := make(xme.Array[int], 10)
	for i := range a {
		a[i] = i
	}
	var table xme.Table
	first := note1.Add(&table, xme.Split(func(i int) keywords {
		return keywords{A0: a.At(i), A1: "a1", A2: "a2", Kwargs: map[string]any{"kw1": "kw1", "kw2": "kw2"}}
	}, a))
	skipped := note1.Add(&table, xme.Repeat(1, keywords{A2: "a2"}))
	second := note2.Add(&table, xme.Split(func(i int) values {
		return values{Args: []int{0, 1, a.At(i)}, A1: "a1", A2: "a2"}
	}, a))
	if err := table.Run(ctx, pool); err != nil {
		return err
	}
	for _, rows := range []*xme.Rows[string]{first, skipped, second} {
		for line, err := range rows.All() {
			if err != nil {
				return err
			}
			fmt.Println(line)
		}
	}
	return nil
}
