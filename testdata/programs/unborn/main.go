// Program unborn panics in its workers before they come to xme.Init.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
)

var half = xme.Register("half", func(_ context.Context, n int) (int, error) { return n / 2, nil })

func init() {
	if os.Getenv("UNBORN") != "" {
		fmt.Println("loading")
		load(nil)
	}
}

func load(m map[string]int) { m["config"] = 1 }

func main() {
	xme.Init()
	fmt.Println(half.Name())
	_, err := xme.Open(context.Background(), xme.Options{Workers: 1, Env: []string{"UNBORN=yes"}})
	fmt.Printf("%+v\n", err)
	os.Exit(1)
}
