// Program skipped calls xme.Init in the driver only, so that its workers run main.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
)

var double = xme.Register("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

func main() {
	f, err := os.OpenFile(os.Getenv("STARTS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, _ = f.WriteString("start\n")
		_ = f.Close()
	}
	if len(os.Args) == 1 { // a worker has an argument
		xme.Init()
	}
	_, err = xme.Open(context.Background(), xme.Options{Workers: 2})
	fmt.Printf("%+v\n", err)
	os.Exit(1)
}
