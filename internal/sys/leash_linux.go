package sys

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Leash ties a worker to its driver: what holds the leash is this process, and when it ends, however it ends, the
// kernel ends the worker and what the worker started. Linux: the pipe of Liveness, Windows: a job object; elsewhere it
// holds nothing. One worker, one leash. A leash that is merely forgotten stays tied as long as this process lives. All
// methods may be called concurrently; a nil *Leash holds nothing.
type Leash struct {
	mu  sync.Mutex
	end int // the pipe's write end, -1 once closed; not an os.File, whose finalizer would kill
}

// NewLeash makes a leash. inherit, unless it is nil, is for the child alone, which calls DieWith on it; the caller
// closes its own copy once the child has started.
func NewLeash() (l *Leash, inherit *os.File, err error) {
	var fd [2]int
	if err := unix.Pipe2(fd[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	return &Leash{end: fd[1]}, os.NewFile(uintptr(fd[0]), "xme-liveness"), nil
}

// Attach ties the child that has just been started, where inheriting is not enough.
func (l *Leash) Attach(int) error { return nil }

// Kill ends the worker pid and what it started, as far as that has not left its process group. It must run before pid
// is reaped, or the number may be somebody else's. A group that is gone already is no error.
func (l *Leash) Kill(pid int) error {
	if err := KillGroup(pid); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// Close lets go: what still lives on the leash is killed. Call it when the worker is dead. Calling it again does
// nothing.
func (l *Leash) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end < 0 {
		return nil
	}
	err := unix.Close(l.end)
	l.end = -1
	return os.NewSyscallError("close", err)
}
