//go:build unix

package sys

import "golang.org/x/sys/unix"

// FileLimit returns how many descriptors this process may have open.
func FileLimit() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 256
	}
	return int(min(l.Cur, 1<<30))
}
