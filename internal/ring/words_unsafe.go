package ring

import (
	"sync/atomic"
	"unsafe"
)

// line is what each hot word has for itself: two words that different CPUs write do
// not share one.
const line = 64

// placed reports whether mem begins at a multiple of 8, as 64-bit words must.
func placed(mem []byte) bool {
	return len(mem) > 0 && uintptr(unsafe.Pointer(&mem[0]))%8 == 0
}

func word32(mem []byte, off int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&mem[off : off+4][0]))
}

func word64(mem []byte, off int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&mem[off : off+8][0]))
}

// word64Plain is a word that others read only once they have seen another.
func word64Plain(mem []byte, off int) *uint64 {
	return (*uint64)(unsafe.Pointer(&mem[off : off+8][0]))
}

// words views mem as words; what is beyond a multiple of 8 is left out.
func words(mem []byte) []atomic.Uint64 {
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&mem[0])), len(mem)/8)
}

// place is where an item lies in a queue's arena: the number of its first byte,
// counted on for ever, and its length.
type place [2]uint64

// placeSize is how many bytes a place takes in a slot.
const placeSize = 16

func places(mem []byte) []place {
	return unsafe.Slice((*place)(unsafe.Pointer(&mem[0])), len(mem)/placeSize)
}

// readPlace copies a place out, once: what is checked is what is used.
func readPlace(p *place) (pos, size uint64) { return loadWord(&p[0]), loadWord(&p[1]) }

// taker is what a queue knows of one process that takes items: a line of the table.
// All counts go on over the lives of all processes that ever had the line.
type taker struct {
	pid   atomic.Uint64 // 0: free
	taken atomic.Uint64 // items taken
	done  atomic.Uint64 // of them, how many were said to be done
	lost  atomic.Uint64 // of them, how many went with a process that died
	end   atomic.Uint64 // journal: the head after the take in progress, or the last
	will  atomic.Uint64 // journal: what taken is after it
	_     [line - 6*8]byte
}

func takers(mem []byte) []taker {
	return unsafe.Slice((*taker)(unsafe.Pointer(&mem[0])), len(mem)/line)
}
