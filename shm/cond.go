package shm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// Cond lets tasks and processes wait until another has changed what a [Mutex] guards. It
// crosses as a Mutex does, and takes its mutex along; all methods may be called
// concurrently.
//
// A process that dies may have been woken without having acted on it, so a death wakes
// all waiters. For this reason, and because others may come first, wait in a loop:
//
//	for !condition() {
//		if err := c.Wait(ctx); err != nil { … }
//	}
type Cond struct {
	prim

	// L is the mutex. Do not change it.
	L *Mutex

	mine bool // L is closed with it
}

// NewCond makes a condition for what a mutex guards. The mutex remains the caller's to
// close.
func NewCond(l *Mutex) (*Cond, error) {
	if l == nil {
		return nil, errors.New("shm: a Cond of no mutex: make it by NewMutex")
	}
	if err := l.enter(); err != nil {
		return nil, err
	}
	defer l.unuse()
	c := &Cond{L: l}
	if err := c.open(kindCond, nil); err != nil {
		return nil, err
	}
	return c, nil
}

// condGuard is a condition as others of this package see it.
type condGuard struct {
	nobody
	*ring.Cond
	relocks *atomic.Int32 // goroutines of this process that were let go and have not the mutex yet
}

func init() {
	guards[kindCond] = guardKind{"condition", ring.CondSize, func(mem []byte) guard {
		return condGuard{nobody{}, ring.NewCond(mem, waits{}), &atomic.Int32{}}
	}}
}

func (g condGuard) Sweep(uint32) { g.Cond.Sweep() }

// Has says that all shall be let go if one may have been that does not come to act on it.
func (g condGuard) Has(uint32) (has, told bool) { return g.relocks.Load() > 0, false }

func (c *Cond) cond() *ring.Cond { return c.l.guard.(condGuard).Cond }

// Wait releases the mutex, waits for Signal or Broadcast, a death, the end of ctx, or
// Close, and takes the mutex again, however long that takes and whether or not ctx has
// ended. It returns nil, a *WaitError, ErrClosed, or what [Mutex.Lock] returns that wraps
// ErrOwnerDied, or two of these joined. The caller holds the mutex before and after,
// unless the error wraps ErrNotHeld: then it did not hold the mutex, or the mutex is
// closed. A waiter woken just as ctx ends gets nil.
func (c *Cond) Wait(ctx context.Context) error {
	if err := c.enter(); err != nil {
		return err
	}
	ticket := c.cond().Prepare()
	if err := c.L.Unlock(); err != nil {
		if c.cond().Cancel(ticket) {
			c.cond().Signal() // it was another's
		}
		c.unuse()
		return lost(err)
	}
	err := c.wait(ctx, func(ctx context.Context) error { return c.cond().Wait(ctx, ticket) })
	c.l.acquired()
	relocks := c.l.guard.(condGuard).relocks
	relocks.Add(1)
	c.unuse() // now: who closes the condition may hold the mutex
	again := c.L.Lock(context.WithoutCancel(ctx))
	if again == nil || errors.Is(again, ErrOwnerDied) {
		relocks.Add(-1)
		if again == nil {
			return err
		}
		return errors.Join(err, again)
	}
	if err != nil || c.Signal() == nil { // another can act on it; or the condition is closed, and leave sees that this one has not
		relocks.Add(-1)
	}
	return errors.Join(err, lost(again))
}

// lost is the error of who does not hold the mutex.
func lost(err error) error {
	if errors.Is(err, ErrNotHeld) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotHeld, err)
}

// Signal wakes one waiter, if there is any. The caller may but need not hold the mutex.
func (c *Cond) Signal() error { return c.let((*ring.Cond).Signal) }

// Broadcast wakes all waiters. The caller may but need not hold the mutex.
func (c *Cond) Broadcast() error { return c.let((*ring.Cond).Broadcast) }

func (c *Cond) let(f func(*ring.Cond)) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.unuse()
	c.l.releases()
	f(c.cond())
	return nil
}

// Retain returns the same condition, with its mutex, as a handle that the caller owns, as
// [Mutex.Retain] does.
func (c *Cond) Retain() (*Cond, error) {
	if c.L == nil {
		return nil, zeroError{}
	}
	l, err := c.L.Retain()
	if err != nil {
		return nil, err
	}
	r := &Cond{L: l, mine: true}
	if err := c.retainPrim(&r.prim); err != nil {
		_ = l.Close()
		return nil, err
	}
	return r, nil
}

// Close ends the use of the condition in this process, as [Mutex.Close] does, and of the
// mutex if it came with the condition.
func (c *Cond) Close() error {
	if c.mine {
		c.L.core.endNow() // before it is waited for: who waits may be about to take the mutex
	}
	err := c.prim.Close()
	if c.mine {
		err = errors.Join(err, c.L.Close())
	}
	return err
}

// append encodes the handles of both.
func (c *Cond) append(dst []byte, parcel *wire.Parcel) ([]byte, error) {
	if c.L == nil {
		return dst, zeroError{}
	}
	own, err := c.prim.append(nil, parcel)
	if err != nil {
		return dst, err
	}
	dst = append(binary.AppendUvarint(dst, uint64(len(own))), own...)
	return c.L.append(dst, parcel)
}

// decode makes c, which is zero, what was encoded.
func (c *Cond) decode(src []byte, parcel *wire.Parcel) error {
	size, n := binary.Uvarint(src)
	if n <= 0 || size > uint64(len(src)-n) {
		return region.ErrMalformed
	}
	own, rest := src[n:n+int(size)], src[n+int(size):]
	c.L, c.mine = &Mutex{}, true
	if err := c.prim.decode(own, kindCond, parcel); err != nil {
		return err
	}
	return c.L.decode(rest, kindMutex, parcel)
}
