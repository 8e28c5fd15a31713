package sys

import "golang.org/x/sys/unix"

// Yield lets another thread that is ready to run have this CPU, of this process or any other, and returns when it is
// this one's turn again. Goroutines of this process that have no thread do not run meanwhile: for them there is
// runtime.Gosched. It goes round the scheduler, as a thread does that the kernel takes the CPU from.
func Yield() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
