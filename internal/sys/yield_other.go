//go:build !linux

package sys

import "runtime"

// Yield lets another goroutine of this process run; the others' threads are not offered the CPU here.
func Yield() { runtime.Gosched() }
