package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/xenonmp/xme/internal/wire"
)

type versionCommand struct{}

// Run prints one line.
func (versionCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintf(out, "xme %s, protocol %d, %s %s/%s\n", wire.ModuleVersion(), wire.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
