//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "manager: this soak looks for what is left behind in /proc, which is Linux's")
	os.Exit(1)
}
