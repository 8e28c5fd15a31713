//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "orphans: it needs Linux: it stops processes and looks for what is left in /proc")
	os.Exit(2)
}
