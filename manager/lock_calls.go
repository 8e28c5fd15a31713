package manager

import (
	"context"
	"errors"
	"time"

	"github.com/xenonmp/xme/shm"
)

// AcquireOption changes one call. It is made by WithWait or WithHook only.
type AcquireOption func(*lockCall)

// WithWait makes the call wait for at most d, instead of for as long as the lock says. 0 or less:
// until its context ends.
func WithWait(d time.Duration) AcquireOption {
	return func(o *lockCall) { o.limit, o.wait = true, d }
}

// WithHook makes the call run h if it fails, instead of the lock's hook.
func WithHook(h *Hook) AcquireOption { return func(o *lockCall) { o.hook = h } }

// Acquire takes the lock, for READWRITE its write side. It waits until the lock is free, ctx ends,
// or the lock's waiting time is over, whichever comes first. The caller holds the lock if the error
// is nil or wraps shm.ErrOwnerDied (an *shm.OwnerDiedError says who left it): in the latter case
// what it guards may be half-done, and whoever holds it next is not told again.
//
// An operator that is not entitled gets ErrNotAuthorised: without waiting or, if that changes
// during the wait, within the lock's mute time. An error after a wait wraps an *shm.WaitError,
// which says who holds the lock, since when and where. It wraps ErrDeadlock, and names the cycle,
// if the wait is part of one; of waits for a SPIN lock only the caller's own is seen. A holder that
// reads and asks to write would wait for itself: it gets ErrDeadlock at once.
func (l *Lock) Acquire(ctx context.Context, o ...AcquireOption) error {
	return l.acquire(ctx, lockCall{}, o)
}

// AcquireRead takes the lock for reading: a READWRITE lock together with other readers, for any
// operator; locks of other kinds as Acquire does. Otherwise it is like Acquire. If a writer of a
// READWRITE lock died, every reader is told until somebody has written.
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

// TryAcquire takes the lock as Acquire does if that needs no waiting for others, and reports
// whether the caller now holds it, which is possible also with an error that wraps
// shm.ErrOwnerDied. ctx bounds the request to the manager.
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

// Release releases what Acquire took, at once. If the caller does not hold it, it returns
// ErrNotHolder; a DISABLE lock may be released by anybody. For kinds other than READWRITE it also
// releases what AcquireRead took.
func (l *Lock) Release(ctx context.Context, o ...AcquireOption) error {
	return l.giveBack(ctx, lockCall{}, o)
}

// ReleaseRead releases what AcquireRead took, as Release does.
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

// Do calls f while holding the lock, and releases it even if f panics; if the caller held it
// before, it holds it afterwards. died is nil, or says who left the lock behind. Do returns f's
// error, or Acquire's if it did not get the lock.
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

// Kind returns the lock's current kind. It sends no message.
func (l *Lock) Kind() (Kind, error) {
	if l == nil || l.c == nil {
		return 0, errorf("a zero Lock: %w", ErrClosed)
	}
	w, err := l.c.look()
	return w.kind(), err
}

// Patience returns how long an Acquire waits at most (0: until its context ends), and how often a
// waiter checks the lock's state. It does not wait.
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
