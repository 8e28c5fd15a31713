//go:build !linux

package sys

import "runtime"

// CPUs returns how many CPUs this process may use, and what bounds it.
func CPUs() (n int, why string) { return runtime.NumCPU(), "the machine's CPUs" }
