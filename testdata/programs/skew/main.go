// Program skew registers a function on a condition that differs in the workers.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
)

var always = xme.Register("always", func(_ context.Context, n int) (int, error) { return n, nil })

func init() {
	if os.Getenv("SOMETIMES") != "" {
		xme.Register("sometimes", func(_ context.Context, n int) (int, error) { return n, nil })
	}
}

func main() {
	xme.Init()
	fmt.Println(always.Name())
	_, err := xme.Open(context.Background(), xme.Options{Workers: 1, Env: []string{"SOMETIMES="}})
	fmt.Printf("%+v\n", err)
	os.Exit(1)
}
