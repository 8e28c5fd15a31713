//go:build !linux

package sys

import (
	"errors"
	"runtime"
)

// HasSockets reports whether links can be sockets here.
const HasSockets = runtime.GOOS != "windows"

// AwaitExit is not offered here: wait and reap in one step.
func AwaitExit(int) error { return errors.ErrUnsupported }
