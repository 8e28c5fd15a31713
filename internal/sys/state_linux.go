package sys

import (
	"bytes"
	"fmt"
)

// Stopped reports whether a process has been stopped by a signal (SIGSTOP and its kin). One that a debugger holds is
// not: that is a state of its own. pid 0 is this process. A process that has been reaped gives os.ErrProcessDone.
func Stopped(pid int) (bool, error) {
	var buf [1024]byte
	b, err := readProc(pid, "stat", buf[:])
	if err != nil {
		return false, err
	}
	state, err := stateOf(b)
	return state == 'T', err
}

// stateOf reads the state out of /proc/pid/stat: it stands behind the program's name in parentheses, which may itself
// hold blanks, line ends and parentheses.
func stateOf(stat []byte) (byte, error) {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 || len(stat) < i+3 || stat[i+1] != ' ' {
		return 0, fmt.Errorf("/proc/pid/stat is %q", stat)
	}
	return stat[i+2], nil
}

// Traced reports whether a debugger is attached to this process.
func Traced() bool {
	var buf [4096]byte
	b, err := readProc(0, "status", buf[:])
	if err != nil {
		return false
	}
	tracer, err := field(b, "TracerPid")
	return err == nil && tracer != "0"
}
