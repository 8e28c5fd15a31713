package sys

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Trials tries what of the kernel the engine uses, once each: a filter (seccomp) or an old kernel may refuse some. It
// leaves nothing behind.
func Trials() []Trial {
	return []Trial{
		{TryMemfd, tryShared()},
		{TryNoExec, tryNoExec()},
		{TryEventfd, tryBell()},
		{TryFutex, tryFutex()},
		{TryPidfd, tryPidfd()},
		{TryYield, tryYield()},
		{TryAffinity, tryAffinity()},
		{TryRlimit, tryRlimit()},
		{TrySockets, trySockets()},
		{TryLiveness, tryLiveness()},
		{TryProcSelf, tryProcSelf()},
	}
}

func tryShared() error {
	s, err := NewShared(1)
	if err != nil {
		return err
	}
	s.Bytes()[0] = 1 // mapped: the seal must leave that be
	return errors.Join(s.SealFutureWrite(), s.Close())
}

func tryNoExec() error {
	fd, err := unix.MemfdCreate("xme", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	return os.NewSyscallError("close", unix.Close(fd))
}

func tryBell() error {
	b, err := NewBell()
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	if err := b.Listen(); err != nil {
		return err
	}
	b.Ring()
	return b.Wait()
}

func tryFutex() error {
	var word atomic.Uint32
	if _, err := FutexWake(&word, 1); err != nil {
		return err
	}
	err := FutexWait(&word, 1, time.Millisecond) // the word is another: it returns at once
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

func tryPidfd() error {
	fd, err := unix.PidfdOpen(os.Getpid(), unix.PIDFD_NONBLOCK)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := waitid(unix.P_PIDFD, fd); !errors.Is(err, unix.ECHILD) { // it is no child of its own
		return fmt.Errorf("waitid of a pidfd: %w", err)
	}
	return nil
}

func tryYield() error {
	_, _, errno := unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("sched_yield", errno)
	}
	return nil
}

// tryAffinity has one thread run where it runs anyhow.
func tryAffinity() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	return os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(0, &set))
}

// tryRlimit sets a limit of this process to what it is.
func tryRlimit() error {
	var l unix.Rlimit
	err := unix.Prlimit(os.Getpid(), unix.RLIMIT_DATA, nil, &l)
	if err == nil {
		err = unix.Prlimit(os.Getpid(), unix.RLIMIT_DATA, &l, nil)
	}
	return os.NewSyscallError("prlimit64", err)
}

func trySockets() error {
	s, theirs, err := SocketPair()
	if err != nil {
		return err
	}
	return errors.Join(s.Close(), theirs.Close())
}

// tryLiveness does what DieWith does to a pipe, but for the part that kills.
func tryLiveness() error {
	mine, theirs, err := Liveness()
	if err != nil {
		return err
	}
	defer func() { _, _ = mine.Close(), theirs.Close() }()
	var opErr error
	err = control(theirs, func(fd uintptr) { _, opErr = unix.FcntlInt(fd, unix.F_SETSIG, int(unix.SIGKILL)) })
	return errors.Join(err, os.NewSyscallError("fcntl F_SETSIG", opErr))
}

func tryProcSelf() error {
	path, err := Executable()
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}
