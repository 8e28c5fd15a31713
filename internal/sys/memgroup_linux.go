package sys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Cgroup is a control group for one worker and all that it starts, with a limit on their memory: shared memory and the
// cache of files that they are charged for included, swap excluded. When it is exceeded and nothing can be reclaimed,
// the kernel kills all of the group. All methods may be called concurrently; whoever made it closes it.
type Cgroup struct {
	tree groupTree
	dir  string

	mu sync.Mutex
	fd int // -1 once closed
}

// groupNumber tells this process's groups apart.
var groupNumber atomic.Uint64

// NewCgroup makes a group in a directory that MemoryCgroup has returned, with a limit in bytes; a negative one is none.
func NewCgroup(dir string, limit int64) (*Cgroup, error) { return kernel.newGroup(dir, limit) }

func (k groupTree) newGroup(dir string, limit int64) (*Cgroup, error) {
	c := &Cgroup{tree: k, fd: -1}
	for c.dir == "" {
		name := filepath.Join(dir, fmt.Sprintf("xme-%d-%d", os.Getpid(), groupNumber.Add(1)))
		err := k.mkdir(name)
		if errors.Is(err, unix.EEXIST) { // a process of the same number has left it, or lives behind another pid namespace
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "mkdir", Path: name, Err: err}
		}
		c.dir = name
	}
	if err := c.setUp(limit); err != nil {
		_ = k.rmdir(c.dir)
		return nil, err
	}
	return c, nil
}

func (c *Cgroup) setUp(limit int64) error {
	for _, f := range []struct{ name, text string }{
		{"memory.swap.max", "0"},  // or the limit would be met by swapping
		{"memory.oom.group", "1"}, // a worker that has lost a child to it would go on half alive
	} {
		if err := c.tree.write(filepath.Join(c.dir, f.name), f.text); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := c.SetLimit(limit); err != nil {
		return err
	}
	fd, err := unix.Open(c.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: c.dir, Err: err}
	}
	c.fd = fd
	return nil
}

// SetLimit changes the limit, in bytes; a negative one lifts it. What is used beyond a lower limit is reclaimed, which
// may take a while, or the group is killed.
func (c *Cgroup) SetLimit(limit int64) error {
	text := "max"
	if limit >= 0 {
		text = strconv.FormatInt(limit, 10)
	}
	return c.tree.write(filepath.Join(c.dir, "memory.max"), text)
}

// FD returns the descriptor for SysProcAttr.CgroupFD, with UseCgroupFD: a process is started inside of the group then, by
// clone3, which some sandboxes refuse (ENOSYS, EPERM). It is good until Close, -1 afterwards.
func (c *Cgroup) FD() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fd
}

// OOMKills returns how many processes of the group the kernel has killed for want of memory.
func (c *Cgroup) OOMKills() (int, error) {
	b, err := os.ReadFile(filepath.Join(c.dir, "memory.events"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return strconv.Atoi(strings.TrimSpace(n))
		}
	}
	return 0, fmt.Errorf("memory.events counts no oom_kill: %w", errors.ErrUnsupported)
}

// Peak returns the most memory that the group ever used, in bytes. Kernels before 5.19 do not know
// (errors.ErrUnsupported).
func (c *Cgroup) Peak() (int64, error) {
	b, err := os.ReadFile(filepath.Join(c.dir, "memory.peak"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w: %w", err, errors.ErrUnsupported)
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

// leaving is how long Close waits for processes that are dying.
const leaving = time.Second

// Close kills what is left in the group, also what has left the worker's process group, waits a moment for the dying and
// removes the group. An error means that it is still there: Close may be called again, and MemoryCgroup sweeps later.
// Once it is removed, closing again does nothing.
func (c *Cgroup) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
	err := c.remove()
	if errors.Is(err, unix.EBUSY) {
		_ = c.tree.write(filepath.Join(c.dir, "cgroup.kill"), "1") // since 5.14
		c.awaitEmpty(leaving)
		err = c.remove()
	}
	return err
}

func (c *Cgroup) remove() error {
	if err := c.tree.rmdir(c.dir); err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "rmdir", Path: c.dir, Err: err}
	}
	return nil
}

// awaitEmpty waits until no process is in the group. The kernel reports a change of cgroup.events as POLLPRI on a
// descriptor that has read it before.
func (c *Cgroup) awaitEmpty(patience time.Duration) {
	fd, err := unix.Open(filepath.Join(c.dir, "cgroup.events"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	var buf [256]byte
	for end := time.Now().Add(patience); ; {
		n, err := unix.Pread(fd, buf[:], 0)
		if err == nil && strings.Contains(string(buf[:n]), "populated 0") {
			return
		}
		left := time.Until(end).Milliseconds()
		if left <= 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, int(left))
	}
}
