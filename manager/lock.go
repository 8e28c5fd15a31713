package manager

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/xenonmp/xme/shm"
)

// Lock is a handle on a lock of a manager, for one operator. The lock's [Kind] says who may take
// it; each process learns of a change of kind at once.
//
// The holder is an operator in a task, for locks that the task was given, or got from a manager
// that it was given. Outside tasks the holder is the handle: two handles exclude each other, even
// those of one operator. If the holder of a lock asks for it again, it already has it; this does
// not nest: one release gives the lock back. Two handles in a task on one lock, for the same
// operator, are one holder, and so are all goroutines of a task.
//
// Acquiring and releasing are done in shared memory; the manager is asked once whether an operator
// is entitled to an AUTHORISATION or a READWRITE lock, and again after a change. A lock outlives
// its holder: when a process that holds it dies, or a task returns without releasing it, the next
// one to get it is told, by an error that wraps shm.ErrOwnerDied. A process that maps a lock's
// memory can write to it: locks exclude processes that play by the rules. What must hold against
// others as well, namely changes of the manager's tables, is checked by the manager's process
// itself.
//
// A Lock crosses as a field of an argument or a result, by pointer, with its operator: whoever is
// handed it may act as that operator. The lock in a task's argument ends with the task. All methods
// may be called concurrently. A zero Lock cannot be used: its methods return ErrClosed.
type Lock struct {
	c    *lockCore
	op   Operator
	seat *seat
	who  *holder // the task that it belongs to; nil: the process
	made bool    // Close ends the use of its memory too
}

// LockOptions configures a lock. The zero value works.
type LockOptions struct {
	// Name is the name by which FindLock finds it, at most 63 bytes. Empty: it has none.
	Name string
	Kind Kind
	// Wait is the longest time that an Acquire waits. 0: until its context ends.
	Wait time.Duration
	// Mute is how often a waiter checks whether the lock's kind, or who is entitled to it, has
	// changed. 0: every 100 ms.
	Mute time.Duration
	// OnAcquire is called when the wait of an Acquire, or of a change to a table, ends without the
	// lock; OnRelease when an operator that does not hold the lock releases it.
	OnAcquire, OnRelease *Hook
}

const defaultMute = 100 * time.Millisecond

// lockName bounds a lock's name: package shm shows as much.
const lockName = 63

// board is what all processes read of a lock when they wait for it.
type board struct {
	Wait, Mute           time.Duration
	OnAcquire, OnRelease [hookSize]byte // length and name
}

func (o LockOptions) board() (b board, err error) {
	if err := o.Kind.check(); err != nil {
		return b, err
	}
	if len(o.Name) > lockName || strings.ContainsRune(o.Name, 0) {
		return b, errorf("a lock's name has at most %d bytes, none of them 0", lockName)
	}
	if o.Wait < 0 || o.Mute < 0 {
		return b, errorf("LockOptions{Wait: %v, Mute: %v}: neither is negative", o.Wait, o.Mute)
	}
	b.Wait, b.Mute = o.Wait, o.Mute
	return b, b.setHooks(o.OnAcquire, o.OnRelease)
}

func (b *board) setHooks(acquire, release *Hook) error {
	for to, h := range map[*[hookSize]byte]*Hook{&b.OnAcquire: acquire, &b.OnRelease: release} {
		name, err := hookName(h)
		if err != nil {
			return err
		}
		*to = [hookSize]byte{byte(len(name))}
		copy(to[1:], name)
	}
	return nil
}

// lockMemory is what of a lock lies in shared memory. A lock takes three pages of it, and three descriptors.
type lockMemory struct {
	RW    *shm.RWMutex
	Word  *shm.Value[lockWord]
	Board *shm.Value[board]
}

func newLockMemory(name string, kind Kind, b board) (m lockMemory, err error) {
	if m.RW, err = shm.NewRWMutex(); err == nil {
		m.RW.SetName(name)
		if m.Word, err = shm.NewValue(newWord(kind, 0)); err == nil {
			m.Board, err = shm.NewValue(b)
		}
	}
	if err != nil {
		m.close()
	}
	return m, err
}

// newKeptMemory is newLockMemory for a host, whose memory does not go along with a result that holds the lock.
func newKeptMemory(name string, kind Kind, b board) (m lockMemory, err error) {
	made, err := newLockMemory(name, kind, b)
	if err != nil {
		return m, err
	}
	defer made.close()
	return made.retain()
}

func (m lockMemory) retain() (r lockMemory, err error) {
	if m.RW == nil || m.Word == nil || m.Board == nil {
		return r, errorf("a lock without its memory: %w", ErrClosed)
	}
	if r.RW, err = m.RW.Retain(); err == nil {
		if r.Word, err = m.Word.Retain(); err == nil {
			r.Board, err = m.Board.Retain()
		}
	}
	if err != nil {
		r.close()
	}
	return r, err
}

func (m lockMemory) close() {
	if m.RW != nil {
		_ = m.RW.Close() // who waits goes on, to find that it is closed
	}
	if m.Word != nil {
		_ = m.Word.Close()
	}
	if m.Board != nil {
		_ = m.Board.Close()
	}
}

// lockCore is what the handles on a lock share that were made from one another.
type lockCore struct {
	at     *Manager // where its manager is; without an operator and a lock of its own
	number uint32
	name   string
	own    bool // the memory is closed with it; else it is the manager's, or ends with the task that it was given to
	lockMemory
}

func (m *Manager) bare() *Manager { return &Manager{id: m.id, at: m.at} }

// NewLock makes a lock of this manager for this handle's operator. ctx bounds the request to the
// manager. The error wraps ErrExists if the name is taken. Close ends the use of the handle; the
// lock itself lasts as long as the manager.
func (m *Manager) NewLock(ctx context.Context, o LockOptions) (*Lock, error) {
	b, err := o.board()
	if err != nil {
		return nil, err
	}
	in := newLockIn{Name: o.Name, Kind: int(o.Kind), Board: b}
	if m != nil {
		in.Op = m.op
	}
	here := m.here()
	if !here {
		if in.Memory, err = newLockMemory(o.Name, o.Kind, b); err != nil {
			return nil, err
		}
	}
	out, err := opNewLock.call(ctx, m, in)
	if err != nil {
		in.Memory.close()
		return nil, err
	}
	if !here {
		out.Memory = in.Memory
	}
	return m.lockOf(o.Name, out, !here)
}

// FindLock returns the lock with the given name, for this handle's operator. The error wraps
// ErrNotFound if there is none.
func (m *Manager) FindLock(ctx context.Context, name string) (*Lock, error) {
	in := findLockIn{Name: name}
	if m != nil {
		in.Op = m.op
	}
	out, err := opFindLock.call(ctx, m, in)
	if err != nil {
		return nil, err
	}
	here := m.here()
	return m.lockOf(name, out, !here)
}

// here reports whether the manager lives in this process.
func (m *Manager) here() bool {
	if m == nil {
		return false
	}
	_, here := m.at.(*host)
	return here
}

// lockOf makes a handle on a lock that m made or found, which is to close its memory if made says so.
func (m *Manager) lockOf(name string, out lockOut, made bool) (*Lock, error) {
	c := &lockCore{at: m.bare(), number: out.Number, name: name, own: made, lockMemory: out.Memory}
	l := &Lock{c: c, op: m.op, made: made}
	if m.lock != nil {
		l.who = m.lock.who
	}
	if !l.who.keep(c) {
		if made {
			c.close()
		}
		return nil, errorf("a lock for a task that has ended: %w", ErrClosed)
	}
	l.seat = l.who.seat(c, l.op)
	return l, nil
}

// ownLock is the handle on the tables' lock of a manager that has just been made here.
func (m *Manager) ownLock(h *host) *Lock {
	h.locks.mu.Lock()
	defer h.locks.mu.Unlock()
	if len(h.locks.all) == 0 { // it is closed
		return &Lock{}
	}
	k := h.locks.all[tableLock]
	c := &lockCore{at: m.bare(), number: tableLock, name: h.locks.name, lockMemory: k.memory}
	return &Lock{c: c, op: m.op, seat: newSeat()}
}

// shares reports whether both use the same memory, which ends for both at once.
func (l *Lock) shares(o *Lock) bool {
	return l != nil && o != nil && l.c != nil && o.c != nil && l.c.lockMemory == o.c.lockMemory
}

// Lock returns the manager's own lock, which guards its tables, for this handle's operator. It
// returns the same handle each time. A handle that came with an object, a list or a map asks the
// manager for the lock; if that fails, Lock returns a zero Lock, whose methods return ErrClosed.
func (m *Manager) Lock() *Lock {
	l, err := m.tablesLock(context.Background())
	if err != nil {
		return &Lock{}
	}
	return l
}

// tablesLock is Lock.
func (m *Manager) tablesLock(ctx context.Context) (*Lock, error) {
	switch {
	case m == nil || m.at == nil:
		return nil, errorf("a zero Manager: %w", ErrClosed)
	case m.lock != nil:
		return m.lock, nil
	}
	r, ok := m.at.(*remote)
	if !ok {
		return nil, ErrClosed
	}
	if err := r.locking.Take(ctx); err != nil {
		return nil, err
	}
	defer r.locking.Give()
	if l := r.lock(m.op); l != nil {
		return l, nil
	}
	out, err := opTablesLock.call(ctx, m, m.op)
	if err != nil {
		return nil, err
	}
	core := &lockCore{at: m.bare(), number: tableLock, name: out.Name, lockMemory: out.Memory}
	if !r.keepLock(core) {
		core.close()
		return nil, ErrClosed
	}
	if l := r.lock(m.op); l != nil {
		return l, nil
	}
	return nil, ErrClosed // since then
}

// As returns a handle on the same lock for another operator. Outside tasks it is also another
// holder.
func (l *Lock) As(o Operator) *Lock {
	if l == nil || l.c == nil {
		return &Lock{}
	}
	return &Lock{c: l.c, op: o, seat: l.who.seat(l.c, o), who: l.who}
}

// Retain returns a handle on the same lock that does not end with the task whose argument l is, and
// that is another holder: for later tasks of the same worker. Close ends it. Retain returns
// ErrClosed if l has ended.
func (l *Lock) Retain() (*Lock, error) {
	if l == nil || l.c == nil {
		return nil, errorf("a zero Lock: %w", ErrClosed)
	}
	memory, err := l.c.retain()
	if err != nil {
		return nil, errorf("%v: %w", l, err)
	}
	c := &lockCore{at: l.c.at.bare(), number: l.c.number, name: l.c.name, own: true, lockMemory: memory}
	return &Lock{c: c, op: l.op, made: true, seat: newSeat()}, nil
}

// Operator returns the operator that this handle acts as.
func (l *Lock) Operator() Operator { return l.op }

// Name returns the lock's name; empty: it has none.
func (l *Lock) Name() string {
	if l == nil || l.c == nil {
		return ""
	}
	return l.c.name
}

// String describes the lock, for example: lock "accounts".
func (l *Lock) String() string {
	switch {
	case l == nil || l.c == nil:
		return "a zero Lock"
	case l.c.name != "":
		return fmt.Sprintf("lock %q", l.c.name)
	case l.c.number == tableLock:
		return "the manager's lock"
	}
	return fmt.Sprintf("lock %d", l.c.number)
}

// Close ends the use of this handle: what it holds of the lock is released. For a handle returned
// by [Manager.Lock], one in a task's argument, one made by As, and one from NewLock or FindLock in
// the manager's own process, that is all: the handle can still be used. For others, such as those
// from NewLock and FindLock elsewhere, it also ends the handles that As made from them. Closing
// twice does nothing.
func (l *Lock) Close() error {
	if l == nil || l.c == nil {
		return nil
	}
	l.c.abandonQuietly(l.seat)
	if l.made {
		l.c.close()
		l.who.drop(l.c)
	}
	return nil
}

// guard takes the lock of the manager's tables for a change of this handle's, unless its holder has it. leave gives it back.
func (m *Manager) guard(ctx context.Context) (leave func(), err error) {
	l, err := m.tablesLock(ctx)
	if err != nil {
		return nil, err
	}
	return l.guard(ctx)
}

// guard takes the lock for a change of a table, unless its holder has it; its hook is told as by Acquire. leave gives it back.
func (l *Lock) guard(ctx context.Context) (leave func(), err error) {
	if l.c == nil {
		return nil, errorf("a zero Lock: %w", ErrClosed)
	}
	switch l.seat.now() {
	case sideWrite:
		return func() {}, nil
	case sideRead:
		if w, err := l.c.look(); err == nil && w.kind() != Disable { // the lock would wait for this reader
			return nil, (&attempt{Lock: l}).again(sideRead)
		}
	}
	s := newSeat() // goroutines that change tables exclude each other, and who holds the lock
	if _, err := l.take(ctx, s, lockCall{}); err != nil {
		if !owns(err) {
			return nil, l.notGot(ctx, lockCall{}, err)
		}
		l.c.mark() // a table's change leaves nothing half-done: whoever takes the lock itself is to be told
	}
	return func() { _ = l.release(s, lockCall{}) }, nil
}
