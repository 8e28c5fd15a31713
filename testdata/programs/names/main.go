// Program names prints the full names of functions registered in all kinds of places.
package main

import (
	"context"
	"fmt"

	"github.com/xenonmp/xme"
	inner "github.com/xenonmp/xme/testdata/programs/names/inner.v2"
)

func same(_ context.Context, n int) (int, error) { return n, nil }

type box[T any] struct{}

func (*box[T]) register(name string) *xme.Func[int, int] { return xme.Register(name, same) }

func generic[T any](name string) *xme.Func[int, int] { return xme.Register(name, same) }

var (
	direct    = xme.Register("direct", same)
	closure   = func() *xme.Func[int, int] { return xme.Register("closure", same) }()
	byGeneric = generic[map[inner.Point]string]("generic")
	byMethod  = new(box[inner.Point]).register("method")
	inInit    *xme.Func[int, int]
)

func init() { inInit = xme.Register("init", same) }

// names prints the functions' full names, and whether they are found by them.
func names() {
	for _, f := range []*xme.Func[int, int]{direct, closure, byGeneric, byMethod, inInit, inner.Direct} {
		found, err := xme.Lookup[int, int](f.Name())
		fmt.Println(f.Name(), found == f, err)
	}
}

func main() {
	xme.Init()
	names()
}
