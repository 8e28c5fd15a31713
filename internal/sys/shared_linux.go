package sys

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Shared is memory that two processes map: a memfd, sealed against resizing, so that no peer can make an access end
// in SIGBUS. A peer that maps it writable can write anything, at any time. It is in no core dump and, once mapped, in
// no child. Every method may be called from any goroutine.
type Shared struct{ mapping }

// NewShared makes size bytes, rounded up to whole pages, of zeroed shared memory and maps it writable. The memory is
// taken from the system at once: where there is too little, the error says so now and no access fails later. The first
// touch of a page in each process still costs what mapping it does (0.8 µs); Prefault pays that in advance.
func NewShared(size int) (*Shared, error) {
	size, err := sharedSize(size)
	if err != nil {
		return nil, err
	}
	f, err := memfd(size)
	if err != nil {
		return nil, err
	}
	b, err := mapShared(f, size, true)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	advise(b)
	return &Shared{mapping{b: b, f: f}}, nil
}

// OpenShared maps what another process has made with the same size, which it need not trust: a file that could shrink
// or grow, or is not as large as it should be, gives an error. Not writable, the memory cannot be written through this
// mapping. f is closed on return.
func OpenShared(f *os.File, size int, writable bool) (*Shared, error) {
	defer func() { _ = f.Close() }()
	size, err := sharedSize(size)
	if err != nil {
		return nil, err
	}
	if err := checkShared(f, size); err != nil {
		return nil, err
	}
	b, err := mapShared(f, size, writable)
	if err != nil {
		return nil, err
	}
	advise(b)
	return &Shared{mapping{b: b}}, nil
}

// Prefault maps every page into this process, so that no first touch costs. It is a matter of speed alone: where the
// kernel does not offer it (before 5.14) nothing happens.
func (s *Shared) Prefault() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b != nil && unix.Madvise(s.b, unix.MADV_POPULATE_WRITE) != nil {
		_ = unix.Madvise(s.b, unix.MADV_POPULATE_READ) // mapped read-only
	}
}

// SealFutureWrite makes every later mapping read-only, in this process too; those that exist stay as they are. No
// further seal can be set. Kernels before 5.1 give an error that wraps errors.ErrUnsupported.
func (s *Shared) SealFutureWrite() error {
	err := seal(s.File(), unix.F_SEAL_FUTURE_WRITE|unix.F_SEAL_SEAL)
	if errors.Is(err, unix.EINVAL) {
		err = fmt.Errorf("%w: %w", err, errors.ErrUnsupported)
	}
	return err
}

// Seal keeps any further seal from being set: without it, whoever has the descriptor could refuse others a writable
// mapping.
func (s *Shared) Seal() error { return seal(s.File(), unix.F_SEAL_SEAL) }

// memfd makes a file of size bytes that are all there and that nobody can resize.
func memfd(size int) (*os.File, error) {
	if err := fitsFileLimit(size); err != nil {
		return nil, err
	}
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("xme", flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate("xme", flags) // before 6.3
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "xme-shared")
	if err = os.NewSyscallError("ftruncate", unix.Ftruncate(fd, int64(size))); err == nil {
		err = os.NewSyscallError("fallocate", allocate(fd, int64(size)))
	}
	if err == nil {
		err = seal(f, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// allocate fetches a file's memory step by step: a signal (a profiler sends a hundred per second) interrupts one step
// and undoes no more than that.
func allocate(fd int, size int64) error {
	const step = 4 << 20
	for at := int64(0); at < size; at += step {
		if err := retry(func() error { return unix.Fallocate(fd, 0, at, min(step, size-at)) }); err != nil {
			return err
		}
	}
	return nil
}

func seal(f *os.File, seals int) error {
	var sealErr error
	err := control(f, func(fd uintptr) { _, sealErr = unix.FcntlInt(fd, unix.F_ADD_SEALS, seals) })
	if err == nil {
		err = os.NewSyscallError("fcntl F_ADD_SEALS", sealErr)
	}
	return err
}

// checkShared returns an error unless f is a file of exactly size bytes that stays so.
func checkShared(f *os.File, size int) error {
	var seals int
	var st unix.Stat_t
	var sealErr, statErr error
	err := control(f, func(fd uintptr) {
		seals, sealErr = unix.FcntlInt(fd, unix.F_GET_SEALS, 0)
		statErr = unix.Fstat(int(fd), &st)
	})
	const fixed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	switch {
	case err != nil:
		return err
	case sealErr != nil:
		return fmt.Errorf("not shared memory: %w", os.NewSyscallError("fcntl F_GET_SEALS", sealErr))
	case seals&fixed != fixed:
		return errors.New("shared memory that is not sealed against resizing")
	case statErr != nil:
		return os.NewSyscallError("fstat", statErr)
	case st.Size != int64(size):
		return wrongSize(st.Size, size)
	case st.Blocks*512 < int64(size): // else whoever looks at it first pays for it, with its life maybe
		return fmt.Errorf("shared memory of which %d of %d bytes are there", st.Blocks*512, size)
	}
	return nil
}

// advise keeps the memory out of core dumps and of forks. Neither is needed to work: without them both are larger.
func advise(b []byte) {
	_ = unix.Madvise(b, unix.MADV_DONTDUMP)
	_ = unix.Madvise(b, unix.MADV_DONTFORK)
}
