//go:build unix

package xme_test

import (
	"syscall"
	"testing"
)

// stop stops a process.
func stop(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}
