//go:build unix

package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// Terminate is the signal that asks a process to end.
var Terminate os.Signal = unix.SIGTERM

// SignalNumber returns a signal's number, 0 if it is none of the system's.
func SignalNumber(s os.Signal) int {
	n, _ := s.(unix.Signal)
	return int(n)
}
