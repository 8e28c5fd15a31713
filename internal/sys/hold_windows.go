package sys

import (
	"os"
	"runtime"
	"sync"
	"weak"

	"golang.org/x/sys/windows"
)

// A handle on its way is not made an os.File of: package os asks the system whether calls on it block, which waits for
// those that do, in whatever process, and before it closes a pipe it cancels what this process waits for on it, by
// whatever handle. It is held instead by a file that stands for it, of an event that nobody uses.
var held = struct {
	mu      sync.Mutex
	handles map[weak.Pointer[os.File]]windows.Handle
}{handles: map[weak.Pointer[os.File]]windows.Handle{}}

// Hold duplicates an open file for passing it on: what it returns, and what a Stream receives, is to be sent, opened as
// shared memory, closed by Release, or made Usable, and can be nothing else. It does not wait.
func Hold(f *os.File, name string) (*os.File, error) {
	h, err := duplicateTo(windows.CurrentProcess(), f)
	if err != nil {
		return nil, err
	}
	return hold(h, name)
}

// hold takes a handle over.
func hold(h windows.Handle, name string) (*os.File, error) {
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		_ = windows.CloseHandle(h)
		return nil, os.NewSyscallError("CreateEvent", err)
	}
	f := os.NewFile(uintptr(event), name)
	key := weak.Make(f)
	held.mu.Lock()
	held.handles[key] = h
	held.mu.Unlock()
	runtime.AddCleanup(f, drop, key) // for who has closed it otherwise, or not at all
	return f, nil
}

// heldBy returns the handle that f holds; own, its own, if it holds none.
func heldBy(f *os.File, own windows.Handle) windows.Handle {
	held.mu.Lock()
	defer held.mu.Unlock()
	if h, ok := held.handles[weak.Make(f)]; ok {
		return h
	}
	return own
}

// takeHeld returns the handle that is held and holds it no more; 0: there is none.
func takeHeld(key weak.Pointer[os.File]) windows.Handle {
	held.mu.Lock()
	defer held.mu.Unlock()
	h := held.handles[key]
	delete(held.handles, key)
	return h
}

func drop(key weak.Pointer[os.File]) {
	if h := takeHeld(key); h != 0 {
		_ = windows.CloseHandle(h)
	}
}

// Usable makes a file that can be read and written, under the given name, of one that is held, which it takes over; after
// an error that is as it was. It may wait as Duplicate does.
func Usable(f *os.File, name string) (*os.File, error) {
	if h := takeHeld(weak.Make(f)); h != 0 {
		_ = f.Close()
		return os.NewFile(uintptr(h), name), nil
	}
	if f.Name() == name {
		return f, nil
	}
	named, err := Duplicate(f, name)
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	return named, nil
}

// Release closes a file that is held, or any other.
func Release(f *os.File) error {
	drop(weak.Make(f))
	return f.Close()
}
