package manager

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/post"
)

// host is where a manager lives: its tables, objects and operators, in one process.
type host struct {
	id id

	mu     sync.Mutex // guards what has no lock of its own
	closed bool
	shut   atomic.Bool // closed, for who has no lock
	ops    operators
	conns  map[post.Addr]*hostConn
	stop   func() // listening
	at     post.Addr

	life context.Context //nolint:containedctx // the host's own
	end  context.CancelFunc

	keeper   bool // somebody keeps snapshots of it
	keeps    map[uint32]chan string
	lastKeep uint32

	objects sync.Map          // number -> *object
	named   map[string]uint32 // objects by name
	numbers numbers           // of objects, lists, maps and locks

	tables      tables
	collections collections
	locks       locks

	noting    sync.Mutex // whether a guard runs
	queue     *callQueue
	queueRuns atomic.Pointer[callContext] // the method that runs from the queue
}

func bareHost(secret, queue int) *host {
	h := &host{id: newID(), conns: map[post.Addr]*hostConn{}, keeps: map[uint32]chan string{}, named: map[string]uint32{}}
	h.ops.Size = secret
	h.life, h.end = context.WithCancel(context.Background())
	h.collections.init(&h.numbers)
	h.queue = newCallQueue(queue, h.runQueued)
	h.queue.guarded, h.queue.died = h.guardChanged, h.heartDied
	return h
}

func newHost(o Options) (*host, Operator, error) {
	h := bareHost(o.Secret, o.Queue)
	op := h.ops.alloc()
	if err := h.tables.init(); err != nil {
		return nil, op, err
	}
	return h, op, h.locks.init(h, o.Lock)
}

// usable says why the host serves nobody any more; nil: it does.
func (h *host) usable() error {
	if h.shut.Load() {
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

// admin says whether an operator is ADMIN.
func (h *host) admin(o Operator) error {
	if o.number != admin {
		return errorf("%v asks for what is ADMIN's: %w", o, ErrNotAuthorised)
	}
	return h.check(o)
}

// open has other processes find the host at an address.
func (h *host) open(at post.Addr) {
	h.at = at
	hosts.Store(h.id, h)
	h.stop = post.Listen(at, h)
	post.Announce(at)
}

// close ends the host and all that lives there. Calls that run have their contexts ended; they are not waited for.
func (h *host) close() {
	h.mu.Lock()
	again := h.closed
	h.closed = true
	h.shut.Store(true)
	conns := h.conns
	h.conns = nil
	h.mu.Unlock()
	if again {
		return
	}
	hosts.Delete(h.id)
	var byes sync.WaitGroup
	for _, c := range conns {
		byes.Go(c.bye)
	}
	byes.Wait()
	h.stop()
	h.end()
	if t := h.queueRuns.Load(); t != nil {
		t.cancel(context.Canceled)
	}
	h.queue.close()
	h.closeObjects()
	h.tables.close()
	h.collections.close()
	h.locks.close()
}
