//go:build unix && !linux

package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// NoCore is not offered here: a process bounds itself, by NoCoreSelf.
func NoCore(int) error { return errors.ErrUnsupported }

// NoCoreSelf keeps this process, and what it starts, from leaving a core file.
func NoCoreSelf() error {
	return os.NewSyscallError("setrlimit", unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}))
}
