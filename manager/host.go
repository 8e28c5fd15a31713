package manager

import (
	"sync"
)

// host is where a manager lives: its tables, objects and operators, in one process.
type host struct {
	id id

	mu     sync.Mutex // guards what has no lock of its own
	closed bool
	ops    operators

	tables      tables
	collections collections
	locks       locks
}

func newHost(o Options) (*host, Operator, error) {
	h := &host{id: newID()}
	h.ops.size = o.Secret
	op := h.ops.alloc()
	h.tables.init(h)
	h.collections.init(h)
	return h, op, h.locks.init(h, o.Lock)
}

// usable says why the host serves nobody any more; nil: it does.
func (h *host) usable() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	return nil
}

// check says whether an operator is who it claims to be.
func (h *host) check(o Operator) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ops.check(o)
}
