package shm

import (
	"context"
	"errors"
	"time"

	"github.com/xenonmp/xme/internal/ring"
)

// Mutex is a lock that tasks and processes share. A free one is taken by a single
// compare-and-swap. It outlives its holder: when a process that holds it dies, or a task
// returns without releasing it, the next one to take it is told.
//
// It crosses as a field of an argument or a result, by pointer; its lifetime is that of
// an Array. All methods may be called concurrently. Its holder is the task, for handles
// that were given to a task, and otherwise the process, for handles that it made or
// retained: any goroutine of a task may release what another took, and they exclude each
// other. It is not re-entrant.
//
// A newcomer may take a free mutex before those who wait; but a waiter that has lost four
// times gets it next. Of the waiting goroutines of a process one sleeps at a time, and
// they proceed in the order in which they began to wait.
//
// A zero Mutex cannot be used. One made in a package variable is a different one in each
// process: hand it over instead.
type Mutex struct{ prim }

// NewMutex makes a mutex that nobody holds.
func NewMutex() (*Mutex, error) {
	m := &Mutex{}
	if err := m.open(kindMutex, nil); err != nil {
		return nil, err
	}
	return m, nil
}

// mutexGuard is a mutex as others of this package see it.
type mutexGuard struct{ *ring.Lock }

func init() {
	guards[kindMutex] = guardKind{"mutex", ring.LockSize, func(mem []byte) guard {
		return mutexGuard{ring.NewLock(mem, waits{})}
	}}
}

func (g mutexGuard) SetAlive(alive func(uint32) bool) { g.Alive = alive }
func (g mutexGuard) Sweep(dead uint32)                { g.Lock.Sweep(dead) }

func (g mutexGuard) Has(owner uint32) (has, told bool) {
	h, _ := g.Holder()
	return h == owner, h == owner
}

func (g mutexGuard) Holders() []uint32 {
	if h, _ := g.Holder(); h != 0 {
		return []uint32{h}
	}
	return nil
}

func (g mutexGuard) Since(holder uint32) time.Time {
	h, since := g.Holder()
	if h != holder {
		return time.Time{}
	}
	return since
}

// Lock takes the mutex. It waits until the mutex is free, ctx ends, or this process
// closes it. The caller holds it if the error is nil or wraps ErrOwnerDied (an
// *OwnerDiedError says who left it): in the latter case what it guards may be half-done,
// and whoever holds it next is not told again. An error after a wait is a *WaitError,
// which says who holds the mutex, and names the cycle if there is a deadlock. A free
// mutex is taken whether or not ctx has ended.
func (m *Mutex) Lock(ctx context.Context) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.unuse()
	lock := m.l.guard.(mutexGuard).Lock
	if lock.TakeFree(m.own.number) {
		if !raceBuild && !m.closed() { // the short path calls nothing more
			return nil
		}
		return m.got(false)
	}
	died, ok := lock.Look(m.own.number)
	if !ok {
		err := m.waitInTurn(ctx, func(ctx context.Context) (err error) {
			died, err = lock.Acquire(ctx, m.own.number)
			return err
		})
		if err != nil {
			return err
		}
	}
	return m.got(died)
}

// got is what who has the mutex now returns. A handle that is closed would give it up behind its back: it goes on as it came, with what
// its next holder is to be told.
func (m *Mutex) got(died bool) error {
	m.l.acquired()
	lock := m.l.guard.(mutexGuard).Lock
	if m.closed() {
		give := lock.Release
		if died {
			give = lock.GiveOn
		}
		give(m.own.number)
		return ErrClosed
	}
	if died {
		return m.l.ownerDied(lock.Died())
	}
	return nil
}

// TryLock takes the mutex if nobody holds it, and reports whether the caller now holds
// it. The error is as for Lock.
func (m *Mutex) TryLock() (bool, error) {
	if err := m.enter(); err != nil {
		return false, err
	}
	defer m.unuse()
	died, ok := m.l.guard.(mutexGuard).TryAcquire(m.own.number)
	if !ok {
		return false, nil
	}
	err := m.got(died)
	return !errors.Is(err, ErrClosed), err
}

// Unlock releases the mutex. It returns an error that wraps ErrNotHeld if this task, or
// this process outside its tasks, does not hold it.
func (m *Mutex) Unlock() error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.unuse()
	m.l.releases()
	if !m.l.guard.(mutexGuard).Release(m.own.number) {
		return m.l.notHeld(m.own.number)
	}
	return nil
}

// Do calls f while holding the mutex, and releases it even if f panics. died is nil, or
// says who left the mutex behind. Do returns f's error, or Lock's if it did not get the
// mutex. f must not unlock the mutex: holders are tasks and processes, not goroutines, so
// Do would then release what another goroutine of the task has taken since.
func (m *Mutex) Do(ctx context.Context, f func(died *OwnerDiedError) error) error {
	return do(m.Lock(ctx), m.Unlock, f)
}

// do calls f with a lock that was got if err says so, and gives it back.
func do(err error, unlock func() error, f func(died *OwnerDiedError) error) error {
	died, ok := err.(*OwnerDiedError) //nolint:errorlint // it comes as it is; one that is wrapped may be another lock's, with which a context has ended
	if err != nil && !ok {
		return err
	}
	defer func() { _ = unlock() }() // it fails only if f has given it back, or the handle is closed
	return f(died)
}

// Holder returns who holds the mutex, if anybody does.
func (m *Mutex) Holder() (Holder, bool) {
	all := m.holders()
	if len(all) == 0 {
		return Holder{}, false
	}
	return all[0], true
}

// Retain returns the same mutex as a handle that the caller owns and must close, for
// example to keep it in a worker for later tasks. The process, not the task, holds what
// is locked through it; a lock still held when the pool closes counts as left by a death.
// The error is ErrClosed, or says that no memory or descriptor is left.
func (m *Mutex) Retain() (*Mutex, error) {
	r := &Mutex{}
	if err := m.retainPrim(&r.prim); err != nil {
		return nil, err
	}
	return r, nil
}
