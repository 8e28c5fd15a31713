package shm

import (
	"sync/atomic"
	"unsafe"
)

// word is the 8 bytes at off, which is a multiple of 8, of a region's memory.
func word(mem []byte, off int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&mem[off])) }

// word32 is the 4 bytes at off, which is a multiple of 4.
func word32(mem []byte, off int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&mem[off])) }

// bytesAt is the memory of a value without pointers.
func bytesAt[T any](v *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)) }
