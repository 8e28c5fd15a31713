package shm

import (
	"context"
	"errors"

	"github.com/xenonmp/xme/internal/ring"
)

// RWMutex is a lock that tasks and processes share, held by any number of readers or by
// one writer. If it is free for reading, one compare-and-swap takes it. It outlives its
// holders: readers that die are forgotten; a writer's death is reported to those that
// read next, until somebody has written, and to the next writer.
//
// A waiting writer keeps later readers out, so it does not wait for ever. For that reason
// a reader must not lock again: a writer may have come in between. Everything else,
// including who the holder is, is as for a [Mutex].
type RWMutex struct{ prim }

// NewRWMutex makes a lock that nobody holds.
func NewRWMutex() (*RWMutex, error) {
	m := &RWMutex{}
	if err := m.open(kindRWMutex, nil); err != nil {
		return nil, err
	}
	return m, nil
}

// rwGuard is an RWMutex as others of this package see it.
type rwGuard struct{ *ring.RWLock }

func init() {
	guards[kindRWMutex] = guardKind{"read-write mutex", ring.RWLockSize, func(mem []byte) guard {
		return rwGuard{ring.NewRWLock(mem, waits{})}
	}}
}

func (g rwGuard) Has(owner uint32) (has, told bool) {
	writes := g.Writer() == owner
	return writes || g.Reads(owner), writes
}

// Lock takes the lock for writing. Otherwise it is like [Mutex.Lock].
func (m *RWMutex) Lock(ctx context.Context) error {
	return m.get(ctx, (*ring.RWLock).TakeFree, (*ring.RWLock).Lock, giveOn)
}

// TryLock takes the lock for writing if nobody has it or is trying to take it at the
// moment.
func (m *RWMutex) TryLock() (bool, error) {
	return m.try((*ring.RWLock).TryLock, giveOn)
}

// Unlock releases what Lock took. It returns an error that wraps ErrNotHeld if this task,
// or this process outside its tasks, does not hold the lock for writing.
func (m *RWMutex) Unlock() error { return m.giveBack((*ring.RWLock).Unlock) }

// RLock takes the lock for reading. Otherwise it is like [Mutex.Lock]. If a writer died,
// and nobody has written since, the error wraps ErrOwnerDied, and what the caller reads
// may be half-done.
func (m *RWMutex) RLock(ctx context.Context) error {
	return m.get(ctx, (*ring.RWLock).TryRLock, (*ring.RWLock).RLock, giveOnRead)
}

// TryRLock takes the lock for reading if nobody is writing or waiting to write.
func (m *RWMutex) TryRLock() (bool, error) {
	return m.try((*ring.RWLock).TryRLock, giveOnRead)
}

// RUnlock releases what RLock took, once. It returns an error that wraps ErrNotHeld if
// this task, or this process outside its tasks, does not hold the lock for reading.
func (m *RWMutex) RUnlock() error { return m.giveBack((*ring.RWLock).RUnlock) }

func (m *RWMutex) lock() *ring.RWLock { return m.l.guard.(rwGuard).RWLock }

// The ways to take it and to give it back.
type (
	rwTry  = func(*ring.RWLock, uint32) (died uint32, ok bool)
	rwWait = func(*ring.RWLock, context.Context, uint32) (died uint32, err error)
	rwGive = func(*ring.RWLock, uint32) bool
	rwOn   = func(l *ring.RWLock, me, died uint32)
)

// giveOn gives back what was got through a handle that is closed by now, with what the next holder is to be told.
func giveOn(l *ring.RWLock, me, died uint32) { l.GiveOn(me, died) }

// giveOnRead needs to say nothing: readers leave it where it is.
func giveOnRead(l *ring.RWLock, me, _ uint32) { l.RUnlock(me) }

func (m *RWMutex) get(ctx context.Context, try rwTry, wait rwWait, on rwOn) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.unuse()
	died, ok := try(m.lock(), m.own.number)
	if !ok {
		err := m.waitInTurn(ctx, func(ctx context.Context) (err error) {
			died, err = wait(m.lock(), ctx, m.own.number)
			return err
		})
		if err != nil {
			return err
		}
	}
	return m.got(died, on)
}

func (m *RWMutex) try(try rwTry, on rwOn) (bool, error) {
	if err := m.enter(); err != nil {
		return false, err
	}
	defer m.unuse()
	died, ok := try(m.lock(), m.own.number)
	if !ok {
		return false, nil
	}
	err := m.got(died, on)
	return !errors.Is(err, ErrClosed), err
}

// got is what who has the lock now returns, as that of a Mutex.
func (m *RWMutex) got(died uint32, on rwOn) error {
	m.l.acquired()
	if m.closed() {
		on(m.lock(), m.own.number, died)
		return ErrClosed
	}
	if died != 0 {
		return m.l.ownerDied(died)
	}
	return nil
}

func (m *RWMutex) giveBack(give rwGive) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.unuse()
	m.l.releases()
	if !give(m.lock(), m.own.number) {
		return m.l.notHeld(m.own.number)
	}
	return nil
}

// Do calls f while holding the lock for writing, as [Mutex.Do] does.
func (m *RWMutex) Do(ctx context.Context, f func(died *OwnerDiedError) error) error {
	return do(m.Lock(ctx), m.Unlock, f)
}

// RDo calls f while holding the lock for reading, as [Mutex.Do] does.
func (m *RWMutex) RDo(ctx context.Context, f func(died *OwnerDiedError) error) error {
	return do(m.RLock(ctx), m.RUnlock, f)
}

// Holders returns the writer or, if there is none, all readers.
func (m *RWMutex) Holders() []Holder { return m.holders() }

// Retain returns the same lock as a handle that the caller owns, as [Mutex.Retain] does.
func (m *RWMutex) Retain() (*RWMutex, error) {
	r := &RWMutex{}
	if err := m.retainPrim(&r.prim); err != nil {
		return nil, err
	}
	return r, nil
}
