//go:build !linux

package sys

// AvailableMemory cannot tell here.
func AvailableMemory() (bytes int64, ok bool) { return 0, false }
