package sys

import (
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Leash ties a worker to its driver by a job object: the system ends all processes in it when its last handle closes,
// which this process alone holds. One worker, one leash. All methods may be called concurrently; a nil *Leash holds
// nothing.
type Leash struct {
	mu   sync.Mutex
	job  windows.Handle // 0 once closed
	tied bool
}

// NewLeash makes a leash; the child inherits nothing of it.
func NewLeash() (l *Leash, inherit *os.File, err error) {
	job, err := windows.CreateJobObject(nil, nil) // not inheritable
	if err != nil {
		return nil, nil, os.NewSyscallError("CreateJobObject", err)
	}
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err != nil {
		_ = windows.CloseHandle(job)
		return nil, nil, os.NewSyscallError("SetInformationJobObject", err)
	}
	return &Leash{job: job}, nil, nil
}

// Attach ties the child that has just been started. What the child has started before is not tied: call it at once, and
// let the child start nothing before it has been spoken to.
func (l *Leash) Attach(pid int) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.job == 0 {
		return os.ErrClosed
	}
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(pid))
	if err != nil {
		return os.NewSyscallError("OpenProcess", err)
	}
	defer func() { _ = windows.CloseHandle(h) }()
	if err := windows.AssignProcessToJobObject(l.job, h); err != nil {
		return os.NewSyscallError("AssignProcessToJobObject", err)
	}
	l.tied = true
	return nil
}

// Kill ends what is on the leash; if nothing is, the process pid alone.
func (l *Leash) Kill(pid int) error {
	if l == nil {
		return KillGroup(pid)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.job == 0 || !l.tied {
		return KillGroup(pid)
	}
	return os.NewSyscallError("TerminateJobObject", windows.TerminateJobObject(l.job, 1))
}

// Close lets go: what still lives on the leash ends. Calling it again does nothing.
func (l *Leash) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.job == 0 {
		return nil
	}
	err := windows.CloseHandle(l.job)
	l.job = 0
	return os.NewSyscallError("CloseHandle", err)
}
