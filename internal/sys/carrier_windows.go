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
		f, err := hold(windows.Handle(h), "xme-received")
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// childHandles is the parent's side.
type childHandles struct {
	mu     sync.Mutex
	child  windows.Handle // 0 until attached, and once let go of
	users  int            // calls that use child
	closed bool
}

func (c *childHandles) attach(pid int) error {
	h, err := windows.OpenProcess(windows.PROCESS_DUP_HANDLE|windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return os.NewSyscallError("OpenProcess", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.child != 0 {
		_ = windows.CloseHandle(h)
		return os.ErrClosed
	}
	c.child = h
	return nil
}

// close does not wait for calls under way: where the child hangs on to a file, one of them may.
func (c *childHandles) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.letGo()
}

// letGo closes the child's handle once nobody needs it. c.mu is held.
func (c *childHandles) letGo() {
	if c.closed && c.users == 0 && c.child != 0 {
		_ = windows.CloseHandle(c.child)
		c.child = 0
	}
}

// use calls do with a handle of the child.
func (c *childHandles) use(do func(child windows.Handle) error) error {
	c.mu.Lock()
	child := c.child
	if c.closed || child == 0 {
		c.mu.Unlock()
		return os.ErrClosed
	}
	c.users++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.users--
		c.letGo()
		c.mu.Unlock()
	}()
	return do(child)
}

func (c *childHandles) give(files []*os.File) (handles []uint32, err error) {
	err = c.use(func(child windows.Handle) error {
		for _, f := range files {
			h, err := duplicateTo(child, f)
			if err != nil {
				discard(child, handles)
				return orGone(child, err)
			}
			handles = append(handles, uint32(h))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return handles, nil
}

func (c *childHandles) drop(handles []uint32) {
	_ = c.use(func(child windows.Handle) error { // once closed there is no child that would keep them
		discard(child, handles)
		return nil
	})
}

// discard closes handles in the child.
func discard(child windows.Handle, handles []uint32) {
	for _, h := range handles {
		_ = windows.DuplicateHandle(child, windows.Handle(h), 0, nil, 0, false, windows.DUPLICATE_CLOSE_SOURCE)
	}
}

func (c *childHandles) take(handles []uint32) (files []*os.File, err error) {
	err = c.use(func(child windows.Handle) error {
		for _, h := range handles {
			f, err := moved(child, h)
			if err != nil {
				closeAll(files)
				return orGone(child, err)
			}
			files = append(files, f)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return files, nil
}

// moved makes a file of a handle of the child's, which the child has no more.
func moved(child windows.Handle, h uint32) (*os.File, error) {
	if !plausible(h) {
		return nil, fmt.Errorf("%#x: %w", h, errHandle)
	}
	var mine windows.Handle
	err := windows.DuplicateHandle(child, windows.Handle(h), windows.CurrentProcess(), &mine, 0, false,
		windows.DUPLICATE_SAME_ACCESS|windows.DUPLICATE_CLOSE_SOURCE)
	if err != nil {
		return nil, os.NewSyscallError("DuplicateHandle", err)
	}
	return hold(mine, "xme-received")
}

// orGone adds ErrGone to an error whose cause is that the child has ended, or is about to: nobody else is refused access
// to the handles of a process that may be opened for that.
func orGone(child windows.Handle, err error) error {
	if state, e := windows.WaitForSingleObject(child, 0); errors.Is(err, windows.ERROR_ACCESS_DENIED) || e == nil && state == windows.WAIT_OBJECT_0 {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return err
}
