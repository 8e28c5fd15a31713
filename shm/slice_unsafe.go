package shm

import "unsafe"

// sliceOf is mem as elements; it is aligned, for regions begin with a page and parts with
// an element.
func sliceOf[T any](mem []byte) []T {
	var none T
	if unsafe.Sizeof(none) == 0 || len(mem) == 0 {
		return []T{}
	}
	n := len(mem) / int(unsafe.Sizeof(none))
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(mem))), n)
}

// bytesOf is the memory of s.
func bytesOf[T any](s []T) []byte {
	var none T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(none)))
}
