package sys

import "golang.org/x/sys/unix"

// Attend wakes the Go runtime's monitor thread if it sleeps. It does while all goroutines wait, for up to a minute, and is woken by system calls that the scheduler is
// told of; a goroutine that the netpoller wakes, and that makes none, wakes nobody. On one processor (GOMAXPROCS) it is then interrupted by nobody: not for other goroutines, and not for what comes by a
// link, as a cancel does. So who has slept calls this before it works for long. It costs a system call, and if the monitor slept some wakes of its thread.
func Attend() { _, _, _ = unix.Syscall(unix.SYS_GETPPID, 0, 0, 0) }
