//go:build unix

package sys

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Alive reports whether there is a process of that number, one that has ended and not been
// reaped included.
func Alive(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }
