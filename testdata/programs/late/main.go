// Program late registers a local function.
package main

import (
	"context"

	"github.com/xenonmp/xme"
)

func main() {
	xme.Init()
	k := 3
	xme.Register("local", func(_ context.Context, n int) (int, error) { return k * n, nil })
}
