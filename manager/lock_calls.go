package manager

import (
	"context"
	"errors"
	"time"

	"github.com/xenonmp/xme/shm"
)

// AcquireOption changes one call. WithWait and WithHook make them; there are no others, and programs cannot write their own.
type AcquireOption func(*lockCall)

// WithWait has the call wait for d at most, instead of for as long as the lock says. 0 or less: until its context ends.
func WithWait(d time.Duration) AcquireOption {
	return func(o *lockCall) { o.limit, o.wait = true, d }
}

// WithHook has the call call h if it fails, instead of the lock's hook.
func WithHook(h *Hook) AcquireOption { return func(o *lockCall) { o.hook = h } }

// Acquire takes the lock, of READWRITE its write side. It waits until it is free, ctx ends, or the lock's wait is over, whichever comes first. The caller
// holds it if the error is nil or wraps shm.ErrOwnerDied (an *shm.OwnerDiedError says who left it): then what it guards may be half-done, and whoever
// holds it next is not told again.
//
// Who is not entitled gets ErrNotAuthorised, without waiting, or within the lock's mute time if it is waiting when that changes. The error after a wait wraps an
// *shm.WaitError, which says who holds it, since when and where, and ErrDeadlock if the wait is part of a cycle, which it names; of waits for a SPIN lock only
// the caller's own is seen. A holder that reads and asks to write would wait for itself: it gets ErrDeadlock at once.
func (l *Lock) Acquire(ctx context.Context, o ...AcquireOption) error {
	return l.acquire(ctx, lockCall{}, o)
}

// AcquireRead takes the lock to read: of READWRITE with other readers, for any operator; of other kinds as Acquire. It is otherwise as Acquire.
// Under a lock of READWRITE that was left by a death all are told who read until somebody has written.
func (l *Lock) AcquireRead(ctx context.Context, o ...AcquireOption) error {
	return l.acquire(ctx, lockCall{shared: true}, o)
}

func (l *Lock) acquire(ctx context.Context, call lockCall, o []AcquireOption) error {
	_, err := l.hold(ctx, call, o)
	return err
}

func (l *Lock) hold(ctx context.Context, call lockCall, o []AcquireOption) (took bool, err error) {
	for _, set := range o {
		set(&call)
	}
	if l == nil || l.c == nil {
		return false, errorf("a zero Lock: %w", ErrClosed)
	}
	took, err = l.take(ctx, l.seat, call)
	if err != nil && !owns(err) {
		err = l.notGot(ctx, call, err)
	}
	return took, err
}

// notGot tells the hook of a wait that ended with err, and returns what the call is to return. Who did not wait is told of nothing.
func (l *Lock) notGot(ctx context.Context, call lockCall, err error) error {
	if _, waited := errors.AsType[*shm.WaitError](err); waited || errors.Is(err, ErrDeadlock) {
		return l.failed(ctx, call, false, err)
	}
	return err
}

// TryAcquire takes the lock as Acquire does if that needs no waiting for others, and reports whether the caller holds it now, which may be with an error
// that wraps shm.ErrOwnerDied. ctx bounds the asking of the manager.
func (l *Lock) TryAcquire(ctx context.Context) (bool, error) {
	if l == nil || l.c == nil {
		return false, errorf("a zero Lock: %w", ErrClosed)
	}
	_, err := l.take(ctx, l.seat, lockCall{try: true})
	if err == errBusy { //nolint:errorlint // its own
		return false, nil
	}
	return err == nil || owns(err), err
}

// Release gives back what Acquire took, at once. Who does not hold it gets ErrNotHolder; a DISABLE lock may be given back by anybody.
// Of kinds other than READWRITE it gives back what AcquireRead took too.
func (l *Lock) Release(ctx context.Context, o ...AcquireOption) error {
	return l.giveBack(ctx, lockCall{}, o)
}

// ReleaseRead gives back what AcquireRead took, as Release does.
func (l *Lock) ReleaseRead(ctx context.Context, o ...AcquireOption) error {
	return l.giveBack(ctx, lockCall{shared: true}, o)
}

func (l *Lock) giveBack(ctx context.Context, call lockCall, o []AcquireOption) error {
	for _, set := range o {
		set(&call)
	}
	if l == nil || l.c == nil {
		return errorf("a zero Lock: %w", ErrClosed)
	}
	err := l.release(l.seat, call)
	if errors.Is(err, ErrNotHolder) {
		err = l.failed(ctx, call, true, err)
	}
	return err
}

// Do calls f while it holds the lock, and gives it back also if f panics; if the caller had it before, it has it afterwards. died is nil, or says who left the
// lock behind. It returns f's error, or Acquire's if the lock was not got.
func (l *Lock) Do(ctx context.Context, f func(died *shm.OwnerDiedError) error, o ...AcquireOption) error {
	took, err := l.hold(ctx, lockCall{}, o)
	died, _ := errors.AsType[*shm.OwnerDiedError](err)
	if err != nil && !owns(err) {
		return err
	}
	if took {
		defer func() { _ = l.release(l.seat, lockCall{}) }() // f may have given it back
	}
	return f(died)
}

// Kind returns what kind the lock is of now. It sends no message.
func (l *Lock) Kind() (Kind, error) {
	if l == nil || l.c == nil {
		return 0, errorf("a zero Lock: %w", ErrClosed)
	}
	w, err := l.c.look()
	return w.kind(), err
}

// Patience returns how long an Acquire waits at most (0: until its context ends), and how often a waiter looks at the lock's state. It does not wait.
func (l *Lock) Patience() (wait, mute time.Duration) {
	if l == nil || l.c == nil {
		return 0, 0
	}
	b := l.c.settings()
	if b.Mute == 0 {
		b.Mute = defaultMute
	}
	return b.Wait, b.Mute
}
