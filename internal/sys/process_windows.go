package sys

import (
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/windows"
)

// Inherit prepares files for a child: on Windows handles are named by number
// and inherited explicitly.
func Inherit(files ...*os.File) (list []*os.File, names []string, attr *syscall.SysProcAttr) {
	attr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	for _, f := range files {
		h := f.Fd()
		_ = windows.SetHandleInformation(windows.Handle(h), windows.HANDLE_FLAG_INHERIT, windows.HANDLE_FLAG_INHERIT)
		attr.AdditionalInheritedHandles = append(attr.AdditionalInheritedHandles, syscall.Handle(h))
		names = append(names, strconv.FormatUint(uint64(h), 10))
	}
	return nil, names, attr
}

// KillGroup kills the process pid. What it started is not reached.
func KillGroup(pid int) error {
	h, err := windows.OpenProcess(windows.PROCESS_TERMINATE, false, uint32(pid))
	if err != nil {
		return os.NewSyscallError("OpenProcess", err)
	}
	defer func() { _ = windows.CloseHandle(h) }()
	return os.NewSyscallError("TerminateProcess", windows.TerminateProcess(h, 1))
}

// Ended describes how a process ended: its exit code. Windows has no signals.
func Ended(st *os.ProcessState) (code int, signal string) { return st.ExitCode(), "" }

// Quit is not offered on Windows: there is no signal that asks for a dump.
func Quit(int) error { return errors.ErrUnsupported }

// PeakMemory is not known on Windows.
func PeakMemory(*os.ProcessState) int64 { return 0 }

// OwnPeak is not known on Windows.
func OwnPeak() int64 { return 0 }
