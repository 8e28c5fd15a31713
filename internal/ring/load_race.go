//go:build race

package ring

// loadWord reads a word of a record plainly, so that the race detector checks that the
// edges named in docs/memory.md order it: an atomic load would be an edge of its own.
func loadWord(p *uint64) uint64 { return *p }
