package sys

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/windows"
)

// Handles are the child's numbers both ways, and the parent does all that needs another process: it duplicates its files
// into the child, and what the child gives out of it. A handle that is under way belongs to the receiver. So the child
// sends a duplicate and forgets it, and the parent moves it: nothing is closed twice, and nothing stays behind unless
// the link breaks, which the child does not survive.

// plausible reports whether a number may be a handle of a kernel object: not none, none of the negative ones that mean
// the process that uses them, or its thread.
func plausible(h uint32) bool { return h != 0 && h%4 == 0 && h < 1<<31 }

var errHandle = errors.New("no handle")

// ownHandles is the child's side.
type ownHandles struct{}

func (ownHandles) attach(int) error { return nil }

func (ownHandles) close() {}

func (o ownHandles) give(files []*os.File) (handles []uint32, err error) {
	for _, f := range files {
		h, err := duplicateTo(windows.CurrentProcess(), f)
		if err != nil {
			o.drop(handles)
			return nil, err
		}
		handles = append(handles, uint32(h))
	}
	return handles, nil
}

func (ownHandles) drop(handles []uint32) {
	for _, h := range handles {
		_ = windows.CloseHandle(windows.Handle(h))
	}
}

func (ownHandles) take(handles []uint32) (files []*os.File, err error) {
	for _, h := range handles {
		if !plausible(h) {
			err = fmt.Errorf("%#x: %w", h, errHandle)
		} else if e := windows.SetHandleInformation(windows.Handle(h), windows.HANDLE_FLAG_INHERIT, 0); e != nil {
			err = os.NewSyscallError("SetHandleInformation", e)
		}
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, os.NewFile(uintptr(h), "xme-received"))
	}
	return files, nil
}

// childHandles is the parent's side.
type childHandles struct {
	mu    sync.RWMutex   // held for writing where child changes
	child windows.Handle // 0 until attached, and once closed
}

func (c *childHandles) attach(pid int) error {
	h, err := windows.OpenProcess(windows.PROCESS_DUP_HANDLE|windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return os.NewSyscallError("OpenProcess", err)
	}
	c.close()
	c.mu.Lock()
	c.child = h
	c.mu.Unlock()
	return nil
}

func (c *childHandles) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.child != 0 {
		_ = windows.CloseHandle(c.child)
		c.child = 0
	}
}

func (c *childHandles) give(files []*os.File) (handles []uint32, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.child == 0 {
		return nil, os.ErrClosed
	}
	for _, f := range files {
		h, err := duplicateTo(c.child, f)
		if err != nil {
			c.discard(handles)
			return nil, c.orGone(err)
		}
		handles = append(handles, uint32(h))
	}
	return handles, nil
}

func (c *childHandles) drop(handles []uint32) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	c.discard(handles)
}

// discard closes handles in the child. c.mu is held.
func (c *childHandles) discard(handles []uint32) {
	for _, h := range handles {
		if c.child != 0 && plausible(h) {
			_ = windows.DuplicateHandle(c.child, windows.Handle(h), 0, nil, 0, false, windows.DUPLICATE_CLOSE_SOURCE)
		}
	}
}

func (c *childHandles) take(handles []uint32) ([]*os.File, error) {
	mine, err := c.move(handles)
	if err != nil {
		return nil, err
	}
	files := make([]*os.File, len(mine))
	for i, h := range mine {
		files[i] = os.NewFile(uintptr(h), "xme-received") // may wait, where others wait on the file: c.mu is not held
	}
	return files, nil
}

// move makes handles of the child's this process's own.
func (c *childHandles) move(handles []uint32) (mine []windows.Handle, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.child == 0 {
		return nil, os.ErrClosed
	}
	for _, h := range handles {
		var dup windows.Handle
		if !plausible(h) {
			err = fmt.Errorf("%#x: %w", h, errHandle)
		} else if err = windows.DuplicateHandle(c.child, windows.Handle(h), windows.CurrentProcess(), &dup, 0, false,
			windows.DUPLICATE_SAME_ACCESS|windows.DUPLICATE_CLOSE_SOURCE); err != nil {
			err = c.orGone(os.NewSyscallError("DuplicateHandle", err))
		}
		if err != nil {
			for _, m := range mine {
				_ = windows.CloseHandle(m)
			}
			return nil, err
		}
		mine = append(mine, dup)
	}
	return mine, nil
}

// orGone adds ErrGone to an error whose cause is that the child has ended, or is about to: nobody else is refused access
// to the handles of a process that may be opened for that.
func (c *childHandles) orGone(err error) error {
	if state, e := windows.WaitForSingleObject(c.child, 0); errors.Is(err, windows.ERROR_ACCESS_DENIED) || e == nil && state == windows.WAIT_OBJECT_0 {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return err
}
