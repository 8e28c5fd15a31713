package sys

// BellFD returns a bell's descriptor, HeardFD the one that it is waited for by.
func BellFD(b *Bell) int { return b.fd }

func HeardFD(b *Bell) int {
	fd := -1
	_ = b.raw.Control(func(f uintptr) { fd = int(f) })
	return fd
}
