package procs

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"github.com/xenonmp/xme"
)

// Kill kills pid if it is a child of this process that lives. It is held while it is
// looked at, so that no other can have taken its number.
func Kill(pid int) bool {
	if pid <= 0 || pid == os.Getpid() {
		return false
	}
	h, err := os.FindProcess(pid) // a pidfd
	if err != nil {
		return false
	}
	defer func() { _ = h.Release() }()
	p, ok := Look(pid)
	return ok && !p.Gone() && p.PPID == os.Getpid() && h.Signal(syscall.SIGKILL) == nil
}

// Struck reports whether a row was lost as a row is whose worker somebody killed, or
// stopped: by SIGKILL that the pool did not send, or because it was found stopped, or
// did not answer. A worker that crashed, exited, or was ended by its pool for what it
// did was not struck.
func Struck(err error) bool {
	var e *xme.Error
	if !errors.Is(err, xme.ErrWorkerLost) || !errors.As(err, &e) {
		return false
	}
	ended, killed := e.Killed, e.Signal == "SIGKILL"
	if len(e.Nested) > 0 { // of a nested call there is the text only
		ended, killed = strings.Contains(e.Message, "killed for it"), strings.Contains(e.Message, "killed by SIGKILL")
	}
	if ended {
		return strings.Contains(e.Message, "stopped by someone") || strings.Contains(e.Message, "it did not answer")
	}
	return killed
}
