package sys

import (
	"fmt"
	"os"
	"syscall"
)

// sharedSize rounds the size of shared memory up to whole pages.
func sharedSize(size int) (int, error) {
	page := os.Getpagesize()
	rounded := (size + page - 1) / page * page
	if size <= 0 || rounded <= 0 {
		return 0, fmt.Errorf("shared memory of %d bytes: %w", size, syscall.EINVAL)
	}
	return rounded, nil
}

// wrongSize is the error of memory that is not as large as it should be.
func wrongSize(have int64, want int) error {
	return fmt.Errorf("shared memory of %d bytes where %d are wanted", have, want)
}

// touch reads a byte of every page. The sum keeps the compiler from leaving the reads out.
//
//go:noinline
func touch(b []byte) (sum byte) {
	for i := 0; i < len(b); i += os.Getpagesize() {
		sum += b[i]
	}
	return sum
}
