//go:build linux

package sys

// BellFD returns a bell's descriptor.
func BellFD(b *Bell) int { return b.fd }
