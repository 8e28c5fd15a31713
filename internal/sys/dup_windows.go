package sys

import (
	"os"

	"golang.org/x/sys/windows"
)

// Duplicate returns another handle of an open file, or of shared memory, that no child inherits, under the given name.
// Both share the open file: its position, its locks. While a pipe that is read or written by blocking calls, as those of
// os.Pipe are, is being waited on, Duplicate waits too. Sockets cannot be duplicated.
func Duplicate(f *os.File, name string) (*os.File, error) {
	h, err := duplicateTo(windows.CurrentProcess(), f)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(h), name), nil
}

// duplicateTo returns another handle of an open file: a number that process knows it by.
func duplicateTo(process windows.Handle, f *os.File) (h windows.Handle, err error) {
	var dupErr error
	err = control(f, func(fd uintptr) {
		dupErr = windows.DuplicateHandle(windows.CurrentProcess(), windows.Handle(fd), process, &h, 0, false, windows.DUPLICATE_SAME_ACCESS)
	})
	if err != nil {
		return 0, err
	}
	return h, os.NewSyscallError("DuplicateHandle", dupErr)
}
