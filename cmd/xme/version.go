package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/xenonmp/xme/internal/wire"
)

type versionCommand struct{}

// Run prints one line.
func (versionCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintf(out, "xme %s, protocol %d, %s %s/%s\n", version(), wire.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is the module's version, or the commit that this program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v == "(devel)" {
			v += " " + s.Value
		}
	}
	return v
}
