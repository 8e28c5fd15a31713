// Program duplicate registers one name twice.
package main

import (
	"context"

	"github.com/xenonmp/xme"
)

var (
	one = xme.Register("same", func(_ context.Context, n int) (int, error) { return n, nil })
	two = xme.Register("same", func(_ context.Context, n int) (int, error) { return n, nil })
)

func main() { xme.Init() }
