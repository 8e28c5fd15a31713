package xme_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/xenonmp/xme"
)

// request has one field per argument: the keywords of the call.
type request struct {
	A0     int
	A1, A2 string
	Args   []int
	Kwargs map[string]any
}

var (
	describe = xme.Register("describe", func(_ context.Context, r request) (string, error) {
		return fmt.Sprintf("%d %s %s %v kw1=%v n=%T", r.A0, r.A1, r.A2, r.Args, r.Kwargs["kw1"], r.Kwargs["n"]), nil
	})
	divide = xme.Register("divide", func(_ context.Context, n int) (int, error) {
		if n == 0 {
			os.Exit(3) // as native code does that fails an assertion
		}
		return 60 / n, nil
	})
	head = xme.Register("head", func(_ context.Context, f *os.File) (string, error) {
		b := make([]byte, 5)
		_, err := io.ReadFull(f, b)
		return string(b), err
	})
)

func openPool(o xme.Options) *xme.Pool {
	pool, err := xme.Open(context.Background(), o)
	if err != nil {
		panic(err)
	}
	return pool
}

// Keyword arguments are the fields of a struct; what the caller leaves out is zero,
// and nothing lands in another field.
// feature: S9
func ExampleFunc_Map_keywords() {
	pool := openPool(xme.Options{Workers: 2})
	defer pool.Close()
	for s, err := range describe.Map(context.Background(), pool, xme.Split(func(i int) request {
		return request{A0: i, A2: "a2", Args: []int{0, 1, i}, Kwargs: map[string]any{"kw1": "v", "n": 7}}
	}, make(xme.Array[int], 2))) {
		fmt.Println(s, err)
	}
	// Output:
	// 0  a2 [0 1 0] kw1=v n=int <nil>
	// 1  a2 [0 1 1] kw1=v n=int <nil>
}

// A table holds rows of several functions, each as often as wanted.
// feature: S8
func ExampleTable() {
	pool := openPool(xme.Options{Workers: 2})
	defer pool.Close()
	var tab xme.Table
	squares := square.Add(&tab, slices.Values([]int{1, 2, 3}))
	words := upper.Add(&tab, slices.Values([]string{"x", "y"}))
	more := square.Add(&tab, xme.Repeat(2, 9))
	if err := tab.Run(context.Background(), pool); err != nil {
		log.Print(err)
	}
	a, _ := squares.Values()
	b, _ := words.Values()
	c, _ := more.Values()
	fmt.Println(a, b, c)
	// Output: [1 4 9] [X Y] [81 81]
}

// A row that kills its worker fails alone, with the cause.
// feature: S12
func ExampleError() {
	pool := openPool(xme.Options{Workers: 1})
	defer pool.Close()
	row := 0
	for n, err := range divide.Map(context.Background(), pool, slices.Values([]int{1, 0, 2})) {
		if e, ok := errors.AsType[*xme.Error](err); ok {
			fmt.Println(row, e.Cause, e.ExitCode, errors.Is(err, xme.ErrWorkerLost))
		} else {
			fmt.Println(row, n)
		}
		row++
	}
	// Output:
	// 0 60
	// 1 worker lost 3 true
	// 2 30
}

// An open file crosses by its descriptor.
// feature: U1
func ExampleFunc_Call_file() {
	pool := openPool(xme.Options{Workers: 1})
	defer pool.Close()
	f, err := os.Open("LICENSE")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	s, err := head.Call(context.Background(), pool, f)
	fmt.Println(len(s), err)
	// Output: 5 <nil>
}

// Functions are found by name too; types that differ are an error that says both.
// feature: P2
func ExampleLookup() {
	f, err := xme.Lookup[int, int]("square")
	if err != nil {
		panic(err)
	}
	n, err := f.Call(context.Background(), xme.Inline(), 12)
	fmt.Println(n, err)
	_, err = xme.Lookup[string, int]("square")
	fmt.Println(strings.Contains(err.Error(), "asked for as func(context.Context, string) (int, error)"))
	// Output:
	// 144 <nil>
	// true
}

// What cannot cross is refused when it is registered, with the field's name.
// feature: U2
func ExampleRegister_refused() {
	defer func() {
		msg := fmt.Sprint(recover())
		fmt.Println(strings.Contains(msg, "callback.Done"), strings.Contains(msg, "register it with xme.Register"))
	}()
	type callback struct{ Done func() }
	xme.Register("notify", func(context.Context, callback) (int, error) { return 0, nil })
	// Output: true true
}

// The portable link works everywhere; it is what Windows has.
// feature: U3
func ExampleOptions_link() {
	pool := openPool(xme.Options{Workers: 1, Link: xme.LinkPipe})
	defer pool.Close()
	n, err := square.Call(context.Background(), pool, 5)
	fmt.Println(n, err)
	// Output: 25 <nil>
}

// The first program of the Python library's README, here: ten rows of ten numbers each.
//
// feature: U6
func ExampleSplit() {
	pool := openPool(xme.Options{Workers: 2})
	defer pool.Close()
	from := xme.Array[int]{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}
	total := 0
	for sum, err := range tenFrom.Map(context.Background(), pool, xme.Split(from.At, from)) {
		if err != nil {
			fmt.Println(err)
		}
		total += sum
	}
	fmt.Println(total)
	// Output: 5050
}

var tenFrom = xme.Register("tenFrom", func(_ context.Context, v int) (int, error) {
	sum := 0
	for i := v + 1; i <= v+10; i++ {
		sum += i
	}
	return sum, nil
})
