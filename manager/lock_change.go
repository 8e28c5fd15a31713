package manager

import (
	"context"
	"time"
)

// change asks the manager for a change, which is for ADMIN only.
func (l *Lock) change(ctx context.Context, c lockChange) error {
	if l == nil || l.c == nil {
		return errorf("a zero Lock: %w", ErrClosed)
	}
	c.Op, c.Lock = l.op, l.c.number
	_, err := opChangeLock.call(ctx, l.c.at, c)
	return err
}

// SetKind changes the lock's kind, for all processes. It waits until ctx ends for whoever holds the
// lock, unless that is the caller or the lock is disabled; those waiting for the lock then, or
// coming later, find the new kind. If the caller dies meanwhile, the lock is of the old or the new
// kind, and nobody holds it. ADMIN only: another operator gets ErrNotAuthorised, at once.
func (l *Lock) SetKind(ctx context.Context, k Kind) error {
	if err := k.check(); err != nil {
		return err
	}
	if err := l.change(ctx, lockChange{Do: changeNothing}); err != nil {
		return err
	}
	w, err := l.c.look()
	if err != nil {
		return err
	}
	switch has := l.seat.now(); {
	case w.kind() == Disable || has == sideWrite:
	case has == sideRead:
		return errorf("%v: the caller reads under it, and would wait for itself: call ReleaseRead first: %w", l, ErrDeadlock)
	default:
		err := l.c.RW.Lock(ctx)
		if err != nil && !owns(err) {
			return errorf("%v is to be a %v lock: %w", l, k, l.c.closed(err))
		}
		if err != nil {
			l.c.mark() // it is the next holder's to know
		}
		defer func() { _ = l.c.RW.Unlock() }()
	}
	return l.change(ctx, lockChange{Do: changeLockKind, Kind: int(k)})
}

// Authorize sets the operators that, besides ADMIN, may take the lock while it is of kind
// AUTHORISATION, replacing those set before. The current holder keeps the lock; a waiter that is
// not among them is refused within the lock's mute time. ADMIN only. The error wraps ErrNotFound if
// an operator does not belong to the manager.
func (l *Lock) Authorize(ctx context.Context, ops ...Operator) error {
	numbers := make([]uint32, len(ops))
	for i, o := range ops {
		numbers[i] = o.number
	}
	return l.change(ctx, lockChange{Do: changeAuthorised, Ops: numbers})
}

// Register sets the operator that may write while the lock is of kind READWRITE. At first it is
// ADMIN. Otherwise it is like Authorize.
func (l *Lock) Register(ctx context.Context, o Operator) error {
	return l.change(ctx, lockChange{Do: changeWriter, Ops: []uint32{o.number}})
}

// SetWait sets how long an Acquire that begins from now on waits at most, in every process. 0:
// until its context ends. ADMIN only.
func (l *Lock) SetWait(ctx context.Context, d time.Duration) error {
	return l.change(ctx, lockChange{Do: changeWait, Wait: max(d, 0)})
}

// SetMute sets how often a waiter checks whether the lock's kind, or who is entitled to it, has
// changed. 0: every 100 ms. ADMIN only.
func (l *Lock) SetMute(ctx context.Context, d time.Duration) error {
	return l.change(ctx, lockChange{Do: changeMute, Wait: max(d, 0)})
}

// SetHooks sets, for every process, what is called when the wait of an Acquire, or of a change to a
// table, ends without the lock, and when an operator that does not hold the lock releases it. nil:
// nothing. ADMIN only.
func (l *Lock) SetHooks(ctx context.Context, acquire, release *Hook) (err error) {
	c := lockChange{Do: changeHooks}
	if c.Name[0], err = hookName(acquire); err == nil {
		c.Name[1], err = hookName(release)
	}
	if err != nil {
		return err
	}
	return l.change(ctx, c)
}
