package sys

import "os"

// control calls do with the descriptor of an open file, which stays open
// meanwhile; a closed one gives os.ErrClosed. File.Fd is not used because it changes
// how a file is waited for, for everyone who shares it.
func control(f *os.File, do func(fd uintptr)) error {
	raw, err := f.SyscallConn()
	if err == nil && raw.Control(do) != nil {
		err = os.ErrClosed // os gives an error of an internal package
	}
	return err
}
