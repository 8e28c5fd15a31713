package ring

import "unsafe"

// Aligned reports whether mem may begin a lane.
func Aligned(mem []byte) bool { return uintptr(unsafe.Pointer(&mem[0]))%Align == 0 }

// StartAt has the counters begin at n.
func (w *RowWriter) StartAt(n uint32) {
	w.put, w.limit, w.ended, w.seen = n, n, n, n
	w.word.Store(joinRows(n, n))
}
