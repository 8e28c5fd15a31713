package main

import (
	"sync/atomic"
	"unsafe"
)

// line is the size of a cache line: words that different processes write lie on lines of their own.
const line = 64

// word returns the word at the start of a line of shared memory.
func word(memory []byte, n int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&memory[n*line : (n+1)*line][0]))
}

// slot is a row in a ring.
type slot struct {
	v uint64
	_ [line - 8]byte
}

// slots returns shared memory, which begins on a line, as slots.
func slots(memory []byte) []slot {
	return unsafe.Slice((*slot)(unsafe.Pointer(unsafe.SliceData(memory))), len(memory)/line)
}

// asBytes returns the memory of numbers.
func asBytes[T float64 | uint64](f []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), 8*len(f))
}
