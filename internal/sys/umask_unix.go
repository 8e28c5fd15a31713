//go:build unix

package sys

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Umask returns this process's file mode creation mask, -1 if it cannot be known: it can be read without being changed,
// which other threads would notice, in /proc only (Linux 4.7).
func Umask() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return -1
	}
	for line := range bytes.Lines(status) {
		if octal, ok := strings.CutPrefix(string(line), "Umask:"); ok {
			if mask, err := strconv.ParseInt(strings.TrimSpace(octal), 8, 32); err == nil {
				return int(mask)
			}
		}
	}
	return -1
}

// SetUmask sets it; a negative one leaves it.
func SetUmask(mask int) {
	if mask >= 0 {
		unix.Umask(mask)
	}
}
