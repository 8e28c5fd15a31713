package sys

import (
	"os"

	"golang.org/x/sys/windows"
)

// Duplicate returns another handle of an open file, or of shared memory, that no child inherits, under the given name.
// Both share the open file: its position, its locks. While anybody, in whatever process, waits on a pipe that is read and
// written by blocking calls, as those of os.Pipe are, Duplicate waits too; and to close one of two handles that a process
// has of a pipe ends what it waits for on the other. Hold has neither fault. Sockets cannot be duplicated.
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

// control calls do with the handle of an open file, which stays open meanwhile, or with the one that it holds; a closed
// one gives os.ErrClosed. File.Fd is not used because it changes how a file is waited for.
func control(f *os.File, do func(fd uintptr)) error {
	raw, err := f.SyscallConn()
	if err == nil && raw.Control(func(fd uintptr) { do(uintptr(heldBy(f, windows.Handle(fd)))) }) != nil {
		err = os.ErrClosed // os gives an error of an internal package
	}
	return err
}
