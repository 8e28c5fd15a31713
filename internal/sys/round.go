package sys

import "os"

// PageRound rounds a size up to whole pages, as NewShared does.
func PageRound(size int) int {
	page := os.Getpagesize()
	return (size + page - 1) / page * page
}
