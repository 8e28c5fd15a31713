package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// SocketPair is not offered on Windows: links are pipes there.
func SocketPair() (Stream, *os.File, error) { return nil, nil, ErrNoFiles }

// InheritedSocket is not offered on Windows.
func InheritedSocket(int) (Stream, error) { return nil, ErrNoFiles }

// ChildPipes joins two one-way files into a Stream to a child that opens the other ends with InheritedPipes. It carries
// files once AttachStream has named the child.
func ChildPipes(r, w *os.File) Stream { return newCarrying(r, w, &childHandles{}) }

// InheritedPipes opens the pipes inherited as handles r and w and keeps them
// from being inherited further. The parent's end is to be made by ChildPipes.
func InheritedPipes(r, w uintptr) (Stream, error) {
	for _, h := range []uintptr{r, w} {
		if err := windows.SetHandleInformation(windows.Handle(h), windows.HANDLE_FLAG_INHERIT, 0); err != nil {
			return nil, os.NewSyscallError("SetHandleInformation", err)
		}
	}
	return newCarrying(os.NewFile(r, "xme-link-in"), os.NewFile(w, "xme-link-out"), ownHandles{}), nil
}

// InheritedFile opens the pipe inherited as handle h and keeps it from being inherited
// further.
func InheritedFile(h uintptr, name string) (*os.File, error) {
	if err := windows.SetHandleInformation(windows.Handle(h), windows.HANDLE_FLAG_INHERIT, 0); err != nil {
		return nil, os.NewSyscallError("SetHandleInformation", err)
	}
	return os.NewFile(h, name), nil
}

// gone reports whether a write failed because nobody can read any more.
func gone(err error) bool {
	return errors.Is(err, windows.ERROR_BROKEN_PIPE) || errors.Is(err, windows.ERROR_NO_DATA)
}

// Adopt is not offered on Windows.
func Adopt(*os.File) (Stream, error) { return nil, ErrNoFiles }
