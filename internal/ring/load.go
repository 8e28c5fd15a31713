//go:build !race

package ring

import "sync/atomic"

// loadWord reads a word that the other side may change meanwhile.
func loadWord(p *uint64) uint64 { return atomic.LoadUint64(p) }
