//go:build unix

package sys

import (
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Inherit prepares files for a child: it returns what goes into ProcAttr.Files
// behind the three standard files, the names by which the child finds them, and
// the attributes. The child leads a process group of its own, so that a signal
// from the terminal reaches the driver alone and KillGroup reaches what the
// child started.
func Inherit(files ...*os.File) (list []*os.File, names []string, attr *syscall.SysProcAttr) {
	for i := range files {
		names = append(names, strconv.Itoa(3+i))
	}
	return files, names, &syscall.SysProcAttr{Setpgid: true}
}

// KillGroup kills the process group led by pid. It must run before pid is
// reaped, or the number may belong to somebody else.
func KillGroup(pid int) error { return unix.Kill(-pid, unix.SIGKILL) }

// Ended describes how a process ended: its exit code (-1 when a signal ended
// it) and that signal's name.
func Ended(st *os.ProcessState) (code int, signal string) {
	if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return -1, unix.SignalName(ws.Signal())
	}
	return st.ExitCode(), ""
}

// Quit asks the Go program pid to dump its goroutines and end.
func Quit(pid int) error { return unix.Kill(pid, unix.SIGQUIT) }

// PeakMemory returns how much memory an ended process had at its largest, in
// bytes, or the largest of the children that it reaped.
//
// On Linux it is no less than what this process itself held when it started the
// child: until the child executes its program it is a copy of this one, and
// counts as such (200 MB for /bin/true, measured). A figure no larger than that
// says nothing; PeakResident knows better while the child lives.
func PeakMemory(st *os.ProcessState) int64 {
	ru, ok := st.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return peakOf(ru)
}

// OwnPeak returns how much memory this process had at its largest, in bytes: what
// PeakMemory of a child started now cannot be less than.
func OwnPeak() int64 {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return peakOf(&ru)
}

func peakOf(ru *syscall.Rusage) int64 {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(ru.Maxrss) //nolint:unconvert // bytes there; int32 on some systems
	}
	return int64(ru.Maxrss) << 10 //nolint:unconvert // kilobytes elsewhere; int32 on some systems
}
