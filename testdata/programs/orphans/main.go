// Program orphans is a driver whose worker runs a row for ever. It prints the
// worker's number, and that of a program the worker has started.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/xenonmp/xme"
)

var linger = xme.Register("linger", func(_ context.Context, said *os.File) (int, error) {
	child := exec.Command("sleep", "1000") //nolint:noctx // it shall outlive everything but the kernel's signal
	if err := child.Start(); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintln(said, os.Getpid(), child.Process.Pid); err != nil {
		return 0, err
	}
	select {}
})

func main() {
	xme.Init()
	pool, err := xme.Open(context.Background(), xme.Options{Workers: 1})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_, err = linger.Call(context.Background(), pool, os.Stdout)
	fmt.Println(err)
}
