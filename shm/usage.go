package shm

import "github.com/xenonmp/xme/internal/region"

// Usage returns how many bytes of shared memory this process has made: those in use, by
// arrays that are not closed and by calls that have not ended, and those that lie unused
// for the next arrays.
func Usage() (used, idle int) { return region.Usage() }

// Trim gives back to the system what lies unused, and returns how many bytes that were.
// It happens by itself when the last pool is closed.
func Trim() int { return region.Trim() }
