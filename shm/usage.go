package shm

import "github.com/xenonmp/xme/internal/region"

// Usage returns how many bytes of shared memory this process has made: those in use, by
// arrays that are not closed and calls that have not ended, and those kept idle for the
// next arrays.
func Usage() (used, idle int) { return region.Usage() }

// Trim returns idle shared memory to the system, and reports how many bytes that was. It
// also happens when the last pool is closed.
func Trim() int { return region.Trim() }
