//go:build !linux

package sys

import (
	"os"
	"runtime"
)

// Survey returns what can be told here, which is little.
func Survey() Facts {
	n := runtime.NumCPU()
	none := Limit{-1, -1}
	return Facts{
		Online: n, CPUs: n, Why: "the machine's CPUs", Memory: -1, Available: -1, Swap: -1, Overcommit: -1, Files: Limit{int64(FileLimit()), -1}, Processes: none,
		Shm: -1, PID: os.Getpid(), Ptrace: -1, Seccomp: -1, NotOffered: "known on Linux only", NoMemoryGroup: "Linux only",
	}
}

// Trials tries nothing here.
func Trials() []Trial { return nil }
