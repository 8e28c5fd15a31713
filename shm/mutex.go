package shm

import (
	"context"
	"errors"
	"time"

	"github.com/xenonmp/xme/internal/ring"
)

// Mutex is a lock that tasks and processes share. A free one is taken by a single compare-and-swap. It outlives its holder: when
// a process dies that holds it, or a task returns without giving it back, the next gets it and is told.
//
// It crosses as a field of an argument or a result, by pointer; lifetime is as an Array's. All methods may be called concurrently. Its holder
// is the task, for the handles that a task was given, and otherwise the process, for those that it made or retained: any goroutine of a
// task may give back what another took, and they exclude each other. It is not re-entrant.
//
// A free mutex may be taken by who comes before those who wait; but one that has lost four times gets it next. Of the goroutines of a process
// that wait, one sleeps at a time, and they go on in the order in which they began to wait.
//
// A zero Mutex cannot be used. One made in a package's variable is another in each process: hand it over.
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

// Lock takes the mutex. It waits until it is free, ctx ends, or this process closes it. The caller holds it if the error is nil or
// wraps ErrOwnerDied (an *OwnerDiedError says who left it): then what it guards may be half-done, and whoever holds it next is not
// told again. An error after a wait is a *WaitError, which says who holds it, and names the cycle if that is a deadlock.
// A mutex that is free is taken whether ctx has ended or not.
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

// TryLock takes the mutex if nobody holds it, and reports whether the caller holds it now. The error is as Lock's.
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

// Unlock gives the mutex back. It returns an error that wraps ErrNotHeld if this task, or this process outside of its tasks, does not
// hold it.
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

// Do calls f while it holds the mutex, and gives it back also if f panics. died is nil, or says who left the mutex behind. It
// returns f's error, or Lock's if it was not got. f must leave the mutex locked: as holders are tasks and processes, not goroutines,
// one that unlocks it lets Do give back what another goroutine of its task has taken since.
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

// Retain returns the same mutex as the caller's own, to be closed by it: what a task shall keep for later tasks of its worker. The
// holder of what is locked through it is the process, not the task; what it holds still when its pool closes counts as left by a
// death. The error is ErrClosed, or that no memory or descriptor is left.
func (m *Mutex) Retain() (*Mutex, error) {
	r := &Mutex{}
	if err := m.retainPrim(&r.prim); err != nil {
		return nil, err
	}
	return r, nil
}
