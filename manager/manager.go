package manager

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"

	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/wire"
)

// Options says how a manager is opened. The zero value works.
type Options struct {
	// Process makes the manager live in a process of its own, so that a crash there, as of an
	// object's native code, ends only that process.
	Process bool
	// Restart lets another process take its place when it dies, with what [Manager.Keep] kept last.
	// Without Process it is an error.
	Restart bool
	// Secret is the length of operators' secrets in bytes, 16 to 64. 0: 16.
	Secret int
	// Queue bounds the number of queued calls. 0: 65,536. The arguments of all together are bounded
	// by 256 MiB.
	Queue int
	// Lock configures the lock that guards the manager's tables; see [Manager.Lock].
	Lock LockOptions
}

// Manager is a handle on a manager, which may be in another process, together with the operator
// that the handle acts as. It crosses as a field of an argument or a result, by pointer, with its
// operator; the one in a task's argument ends with the task. All methods may be called
// concurrently. A zero Manager cannot be used: its methods return ErrClosed.
type Manager struct {
	id id
	at any // *host in this process, *remote elsewhere; nil: a zero value
	op Operator

	lock *Lock // its own; nil: a zero value

	owned func() error // ends the manager; nil: it is not this handle's
}

// id names a manager.
type id [16]byte

func newID() (i id) {
	_, _ = rand.Read(i[:]) // never fails: see its documentation
	return i
}

// hosts are the managers of this process.
var hosts sync.Map // id -> *host

// Open starts a manager and returns a handle that acts as ADMIN. ctx bounds Open only. The error
// says which option makes no sense or, as for [xme.Open], why the manager's own process could not
// be started. Whoever opens a manager must close it.
func Open(ctx context.Context, o Options) (*Manager, error) {
	if o.Secret == 0 {
		o.Secret = leastSecret
	}
	if o.Secret < leastSecret || o.Secret > mostSecret {
		return nil, errorf("Options.Secret is %d bytes: make it %d to %d", o.Secret, leastSecret, mostSecret)
	}
	if o.Queue < 0 {
		return nil, errorf("Options.Queue is %d calls: make it 1 or more, or 0 for %d", o.Queue, defaultQueue)
	}
	if o.Restart && !o.Process {
		return nil, errors.New("manager: Options.Restart is for a manager in a process of its own: set Options.Process too")
	}
	if o.Process {
		return supervise(ctx, o)
	}
	h, op, err := newHost(o)
	if err != nil {
		return nil, err
	}
	h.open(post.Addr(h.id))
	m := &Manager{id: h.id, at: h, op: op, owned: func() error { h.close(); return nil }}
	m.lock = m.ownLock(h)
	return m, nil
}

// Close ends the manager that Open opened, with all that lives there: calls under way return, later
// ones get ErrClosed. On a handle that came with an argument it does nothing; of a handle that the
// process got in another way, from a result or a table, it ends the use. Closing twice does
// nothing.
func (m *Manager) Close() error {
	if m == nil {
		return nil
	}
	if m.owned == nil {
		return m.lock.Close()
	}
	return m.owned()
}

// Retain returns a handle on the same manager that does not end with the task whose argument m is:
// for later tasks of the same worker, for example in a package variable that a setup function sets.
// It need not be closed.
func (m *Manager) Retain() *Manager {
	c := *m
	c.owned = nil
	if h, ok := m.at.(*host); !ok {
		c.lock = nil // the process's own, which is asked for when it is needed
	} else if own := m.ownLock(h); !own.shares(m.lock) { // the argument's ends with the task
		c.lock = own
	}
	return &c
}

// As returns a handle on the same manager that acts as the operator o.
func (m *Manager) As(o Operator) *Manager {
	c := *m
	c.op, c.owned = o, nil
	if m.lock != nil {
		c.lock = m.lock.As(o)
	}
	return &c
}

// Operator returns the operator that this handle acts as: ADMIN for a manager as opened.
func (m *Manager) Operator() Operator { return m.op }

var opNewOperator = define("new operator", false, func(_ context.Context, h *host, _ *caller, _ struct{}) (Operator, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ops.alloc(), nil
})

// NewOperator makes a new operator.
func (m *Manager) NewOperator(ctx context.Context) (Operator, error) {
	return opNewOperator.call(ctx, m, struct{}{})
}

// handles says that the handles of this package are registered: what is compiled while the package is initialised depends on it.
var handles = func() bool {
	wire.RegisterHandle(wire.Handle[*Manager]{Append: appendManager, Decode: decodeManager})
	wire.RegisterHandle(wire.Handle[*payload]{Append: appendPayload, Decode: decodePayload})
	return true
}()

func appendManager(dst []byte, m *Manager, p *wire.Parcel) ([]byte, error) {
	l, err := m.tablesLock(context.Background())
	if err != nil {
		return dst, innerf("%w", err)
	}
	if l.c == nil { // its manager has been closed
		return dst, innerf("a zero Lock: %w", ErrClosed)
	}
	return wire.AppendNested(managerRefs(), dst, &managerRef{m.id, m.op, l.c.lockMemory, l.c.name}, p)
}

func decodeManager(src []byte, p *wire.Parcel) (*Manager, error) {
	var r managerRef
	if err := wire.DecodeNested(managerRefs(), src, &r, p); err != nil {
		return nil, err
	}
	if err := r.Memory.check(); err != nil {
		return nil, err
	}
	m := &Manager{id: r.Manager, at: place(r.Manager), op: r.Op}
	m.lock = decoded(&lockCore{at: m.bare(), number: tableLock, name: r.Name, lockMemory: r.Memory}, m.op, p)
	return m, nil
}

// place returns where a manager is.
func place(i id) any {
	if h, ok := hosts.Load(i); ok {
		return h
	}
	return remoteOf(i)
}

// appendBare encodes a manager without its lock, for a handle on what it keeps.
func appendBare(dst []byte, m *Manager) ([]byte, error) {
	if m.at == nil {
		return dst, innerf("a zero Manager: %w", ErrClosed)
	}
	op, err := m.op.MarshalBinary()
	return append(append(dst, m.id[:]...), op...), err
}

func decodeBare(src []byte) (*Manager, error) {
	m := &Manager{}
	if len(src) < len(m.id) {
		return nil, errMalformed
	}
	copy(m.id[:], src)
	if err := m.op.UnmarshalBinary(src[len(m.id):]); err != nil {
		return nil, err
	}
	m.at = place(m.id)
	if h, ok := m.at.(*host); ok {
		m.lock = m.ownLock(h)
	}
	return m, nil
}
