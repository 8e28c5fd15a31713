package manager

import (
	"context"
	"slices"
	"sync"
	"time"
)

// tableLock is the number of the lock that guards a manager's tables.
const tableLock = 0

// locks are a host's locks.
type locks struct {
	mu     sync.Mutex
	all    map[uint32]*hostLock // by number
	byName map[string]*hostLock
	name   string // of the tables' lock
}

// hostLock is what a host knows of a lock. locks.mu guards it.
type hostLock struct {
	number     uint32
	kind       Kind
	epoch      uint64
	authorised []uint32 // besides ADMIN
	writer     uint32   // of READWRITE
	memory     lockMemory
}

func (l *locks) init(_ *host, o LockOptions) error {
	b, err := o.board()
	if err != nil {
		return err
	}
	m, err := newKeptMemory(o.Name, o.Kind, b)
	if err != nil {
		return err
	}
	l.all, l.byName, l.name = map[uint32]*hostLock{}, map[string]*hostLock{}, o.Name
	l.add(tableLock, o.Name, o.Kind, m)
	return nil
}

// add notes a new lock.
func (l *locks) add(number uint32, name string, kind Kind, m lockMemory) *hostLock {
	k := &hostLock{number: number, kind: kind, writer: admin, memory: m}
	l.all[number] = k
	if name != "" {
		l.byName[name] = k
	}
	return k
}

// close ends all locks: who waits for one, in whatever process, is told.
func (l *locks) close() {
	l.mu.Lock()
	all := l.all
	l.all, l.byName = nil, nil
	l.mu.Unlock()
	for _, k := range all {
		k.memory.end()
	}
}

// end tells all who have the lock that it is no more.
func (m lockMemory) end() {
	defer func() { _ = recover() }() // package shm panics if a Value is closed: then it has been said
	m.Word.Update(func(w lockWord) lockWord { return w | wordClosed })
	m.close()
}

// find returns a lock by its number. l.mu is held.
func (l *locks) find(number uint32) (*hostLock, error) {
	if k := l.all[number]; k != nil {
		return k, nil
	}
	return nil, errorf("lock %d: %w", number, ErrNotFound)
}

// changed tells all processes of a change of kind, or of who is entitled. l.mu is held.
func (k *hostLock) changed() {
	k.epoch++
	k.memory.Word.Update(func(w lockWord) lockWord { return newWord(k.kind, k.epoch) | w&wordFlags })
}

// entitled says whether an operator may take the lock to write.
func (k *hostLock) entitled(o Operator) error {
	switch {
	case k.kind == Authorisation && o.number != admin && !slices.Contains(k.authorised, o.number):
		return errorf("%v is not authorised for this lock: %w", o, ErrNotAuthorised)
	case k.kind == ReadWrite && o.number != k.writer:
		return errorf("%v may take this lock to read only, operator %d to write: %w", o, k.writer, ErrNotAuthorised)
	}
	return nil
}

// entitled says whether an operator may change the tables; nil: it may.
func (h *host) entitled(o Operator) error {
	if err := h.check(o); err != nil {
		return err
	}
	h.locks.mu.Lock()
	defer h.locks.mu.Unlock()
	k, err := h.locks.find(tableLock)
	if err != nil {
		return ErrClosed
	}
	return k.entitled(o)
}

type newLockIn struct {
	Op     Operator
	Name   string
	Kind   int
	Board  board
	Memory lockMemory // from a process that is not the manager's
}

type findLockIn struct {
	Op   Operator
	Name string
}

type lockOut struct {
	Number uint32
	Name   string
	Memory lockMemory
}

var opNewLock = define("new lock", false, func(_ context.Context, h *host, c *caller, in newLockIn) (out lockOut, err error) {
	if c.conn != nil {
		defer in.Memory.close() // the request's own
	}
	if err := h.check(in.Op); err != nil {
		return out, err
	}
	if err := Kind(in.Kind).check(); err != nil {
		return out, err
	}
	h.locks.mu.Lock()
	defer h.locks.mu.Unlock()
	switch {
	case len(h.locks.all) == 0:
		return out, ErrClosed
	case in.Name != "" && h.locks.byName[in.Name] != nil:
		return out, errorf("a lock %q: %w", in.Name, ErrExists)
	}
	number, err := h.numbers.next32()
	if err != nil {
		return out, err
	}
	var m lockMemory
	if c.conn == nil && in.Memory == (lockMemory{}) {
		m, err = newKeptMemory(in.Name, Kind(in.Kind), in.Board)
	} else {
		m, err = in.Memory.retain()
	}
	if err != nil {
		return out, err
	}
	h.locks.add(number, in.Name, Kind(in.Kind), m)
	out.Number = number
	if c.conn == nil {
		out.Memory = m
	}
	return out, nil
})

var opFindLock = define("find lock", false, func(_ context.Context, h *host, _ *caller, in findLockIn) (out lockOut, err error) {
	if err := h.check(in.Op); err != nil {
		return out, err
	}
	h.locks.mu.Lock()
	defer h.locks.mu.Unlock()
	k := h.locks.byName[in.Name]
	if k == nil {
		return out, errorf("a lock %q: %w", in.Name, ErrNotFound)
	}
	return lockOut{k.number, in.Name, k.memory}, nil
})

var opTablesLock = define("the tables' lock", false, func(_ context.Context, h *host, _ *caller, o Operator) (out lockOut, err error) {
	if err := h.check(o); err != nil {
		return out, err
	}
	h.locks.mu.Lock()
	defer h.locks.mu.Unlock()
	k, err := h.locks.find(tableLock)
	if err != nil {
		return out, ErrClosed
	}
	return lockOut{k.number, h.locks.name, k.memory}, nil
})

type entitledIn struct {
	Op   Operator
	Lock uint32
}

// opEntitled says of which state of the lock it says that the operator may take it to write.
var opEntitled = define("entitled to lock", false, func(_ context.Context, h *host, _ *caller, in entitledIn) (uint64, error) {
	if err := h.check(in.Op); err != nil {
		return 0, err
	}
	h.locks.mu.Lock()
	defer h.locks.mu.Unlock()
	k, err := h.locks.find(in.Lock)
	if err != nil {
		return 0, err
	}
	return uint64(newWord(k.kind, k.epoch)), k.entitled(in.Op)
})

// lockChange is a change of a lock's by ADMIN.
type lockChange struct {
	Op   Operator
	Lock uint32
	Do   int // one of the below
	Kind int
	Ops  []uint32
	Wait time.Duration
	Name [2]string // of hooks
}

const (
	changeNothing = iota // is the operator ADMIN?
	changeLockKind
	changeAuthorised
	changeWriter
	changeWait
	changeMute
	changeHooks
)

var opChangeLock = define("change lock", false, func(_ context.Context, h *host, _ *caller, in lockChange) (none struct{}, err error) {
	if err := h.check(in.Op); err != nil {
		return none, err
	}
	if in.Op.number != admin {
		return none, errorf("%v changes a lock, which is for ADMIN: %w", in.Op, ErrNotAuthorised)
	}
	for _, o := range in.Ops {
		if !h.knows(o) {
			return none, errorf("operator %d: %w", o, ErrNotFound)
		}
	}
	h.locks.mu.Lock()
	defer h.locks.mu.Unlock()
	k, err := h.locks.find(in.Lock)
	if err != nil {
		return none, err
	}
	return none, k.change(in)
})

func (h *host) knows(op uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return op > 0 && int(op) <= len(h.ops.Hashes)
}

// change does what ADMIN wants. locks.mu is held.
func (k *hostLock) change(in lockChange) error {
	switch in.Do {
	case changeLockKind:
		if err := Kind(in.Kind).check(); err != nil {
			return err
		}
		k.kind = Kind(in.Kind)
		k.changed()
	case changeAuthorised:
		k.authorised = slices.Clone(in.Ops)
		k.changed()
	case changeWriter:
		if len(in.Ops) != 1 {
			return errorf("a lock has one writer: %w", ErrNotFound)
		}
		k.writer = in.Ops[0]
		k.changed()
	case changeWait:
		k.memory.Board.Update(func(b board) board { b.Wait = in.Wait; return b })
	case changeMute:
		k.memory.Board.Update(func(b board) board { b.Mute = in.Wait; return b })
	case changeHooks:
		k.memory.Board.Update(func(b board) board {
			b.OnAcquire, b.OnRelease = hookText(in.Name[0]), hookText(in.Name[1])
			return b
		})
	}
	return nil
}

func hookText(name string) (t [hookSize]byte) {
	t[0] = byte(copy(t[1:], name))
	return t
}
