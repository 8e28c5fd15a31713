package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// NoCore keeps a process from leaving a core file: memory, secrets included, on disk. It sets both of its limits on
// them to 0, so that what it starts cannot raise them either. pid 0 is this process. Where cores are piped to a
// program, that is started all the same, and told the limit.
func NoCore(pid int) error {
	return os.NewSyscallError("prlimit", unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil))
}

// NoCoreSelf is NoCore of this process.
func NoCoreSelf() error { return NoCore(0) }
