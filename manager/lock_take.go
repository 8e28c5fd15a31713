package manager

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/shm"
)

// lockCall is how one call takes or gives back.
type lockCall struct {
	shared bool // the read side
	try    bool // without waiting
	limit  bool // wait stands instead of the lock's
	wait   time.Duration
	hook   *Hook
}

// errAgain says that kind or entitlement has changed: look again.
var errAgain = errors.New("the lock has changed")

// waitOverError is why a wait ended that was bounded by the lock or the call.
type waitOverError struct{ limit time.Duration }

func (e waitOverError) Error() string        { return fmt.Sprintf("its wait of %v is over", e.limit) }
func (e waitOverError) Is(target error) bool { return target == context.DeadlineExceeded }

// owns reports whether an error of take's says that the lock is held nevertheless.
func owns(err error) bool { return err != nil && errors.Is(err, shm.ErrOwnerDied) }

// An attempt is one call's way to a lock.
type attempt struct {
	*Lock
	lockCall
	seat  *seat
	ctx   context.Context //nolint:containedctx // the call's
	died  error           // who left the lock behind, as this round was told
	start time.Time       // of its waiting
	bound context.Context //nolint:containedctx // ctx, and the lock's wait; nil: it has not waited
	stop  context.CancelFunc
}

// take takes the lock for a seat. took is false if the seat had it already.
//
//	look ── disabled ──────────────────────────────────────────────▶ has it
//	  │ ▲
//	  │ └── the word is another: give back ──────────┐
//	  ▼                                              │
//	entitled? ── no ──▶ ErrNotAuthorised             │
//	  ▼                                              │
//	the read-write mutex, in shared memory ──▶ look again ── the same ──▶ has it
func (l *Lock) take(ctx context.Context, s *seat, o lockCall) (took bool, err error) {
	if l == nil || l.c == nil {
		return false, errorf("a zero Lock: %w", ErrClosed)
	}
	a := &attempt{Lock: l, lockCall: o, seat: s, ctx: ctx}
	defer a.end()
	if !s.trySit() {
		if o.try {
			return false, a.again(s.now())
		}
		if !s.sit(a.bounded()) {
			return false, a.gaveUp()
		}
	}
	defer s.stand()
	for {
		took, err = a.once()
		if err != errAgain { //nolint:errorlint // its own
			return took, err
		}
	}
}

var errBusy = errors.New("held by another")

// again is what a holder gets that has the lock, and asks for it.
func (a *attempt) again(has side) error {
	switch has {
	case sideWrite:
		return nil
	case sideRead:
		if a.shared {
			return nil
		}
		return errorf("%v: its holder reads under it, and would wait for itself: call ReleaseRead first: %w", a.Lock, ErrDeadlock)
	}
	return errBusy
}

// once is one round. It returns errAgain if the lock changed meanwhile.
func (a *attempt) once() (took bool, err error) {
	w, err := a.c.look()
	if err != nil {
		return false, err
	}
	if has := a.seat.now(); has == sideWrite || has == sideRead {
		return false, a.again(has)
	}
	if w.kind() == Disable {
		a.seat.set(a.c, sideFree, true)
		return true, nil
	}
	has, shared := sideWrite, a.shared && w.kind() == ReadWrite
	if shared {
		has = sideRead
	} else if err := a.entitled(w); err != nil {
		return false, err
	}
	if err := a.get(w, shared); err != nil {
		return false, err
	}
	now, err := a.c.look()
	if err == nil && !now.same(w) {
		err = errAgain
	}
	if err != nil {
		a.giveUp(shared)
		return false, err
	}
	a.seat.set(a.c, has, w.kind() != ReadWrite)
	return true, a.told(now, shared)
}

// giveUp gives the mutex back that is not to be had after all.
func (a *attempt) giveUp(shared bool) {
	if shared {
		_ = a.c.RW.RUnlock() // a reader's notice of a death stands until somebody has written
		a.died = nil
		return
	}
	if a.died != nil {
		a.c.mark()
	}
	_ = a.c.RW.Unlock()
}

// told is what who has the lock now is told of who had it before.
func (a *attempt) told(now lockWord, shared bool) error {
	if now&wordLeft == 0 {
		return a.died
	}
	if !shared {
		a.c.marked()
	}
	if a.died != nil {
		return a.died
	}
	return &shm.OwnerDiedError{What: a.Lock.String()}
}

// get takes the read-write mutex.
func (a *attempt) get(w lockWord, shared bool) error {
	a.died = nil // an earlier round's is in the word, for whoever was next
	try, wait := a.c.RW.TryLock, a.c.RW.Lock
	if shared {
		try, wait = a.c.RW.TryRLock, a.c.RW.RLock
	}
	switch ok, err := try(); {
	case ok:
		a.died = err
		return nil
	case err != nil:
		return a.c.closed(err)
	case a.try:
		return errBusy
	case w.kind() == Spin:
		return a.spin(w, try, wait)
	}
	ctx, stop := a.looking(w)
	defer stop()
	return a.got(ctx, wait(ctx))
}

// got sorts what a wait for the mutex returned.
func (a *attempt) got(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case owns(err):
		a.died = err
		return nil
	case ctx.Err() != nil && context.Cause(ctx) == errAgain: //nolint:errorlint // its own
		return errAgain
	case errors.Is(err, shm.ErrClosed):
		return a.c.closed(err)
	}
	if we, ok := errors.AsType[*shm.WaitError](err); ok {
		we.Waited = time.Since(a.start)
	}
	return errorf("%v, for %v: %w", a.Lock, a.op, err)
}

// spin takes the mutex without a sleep. It looks at the clock, and at the lock's word, now and then.
func (a *attempt) spin(w lockWord, try func() (bool, error), wait func(context.Context) error) error {
	ctx := a.bounded()
	for n := 1; ; n++ {
		ok, err := try()
		switch {
		case ok:
			a.died = err
			return nil
		case err != nil:
			return a.c.closed(err)
		case ctx.Err() != nil:
			return a.got(ctx, wait(ctx)) // says who has it
		}
		runtime.Gosched()
		if n%16 == 0 { // its holder may be waiting for this CPU
			sys.Yield()
			if now, err := a.c.look(); err != nil || !now.same(w) {
				return errAgain
			}
		}
	}
}

// bounded returns the call's context, bounded by the lock's wait or the call's from the first time on that it is asked for.
func (a *attempt) bounded() context.Context {
	if a.bound != nil {
		return a.bound
	}
	a.start, a.bound, a.stop = time.Now(), a.ctx, func() {}
	limit := a.wait
	if !a.limit {
		limit = a.c.settings().Wait
	}
	if limit > 0 {
		a.bound, a.stop = context.WithTimeoutCause(a.ctx, limit, waitOverError{limit})
	}
	return a.bound
}

func (a *attempt) end() {
	if a.stop != nil {
		a.stop()
	}
}

// gaveUp is what a wait for another goroutine of the same holder's returns.
func (a *attempt) gaveUp() error {
	return errorf("%v, for %v, behind another call of the same holder's: %w", a.Lock, a.op, &shm.WaitError{
		What: a.c.RW.String(), Err: context.Cause(a.bound), Waited: time.Since(a.start), Holders: a.c.RW.Holders(),
	})
}

// looking returns bounded, which ends besides with errAgain once the lock's word is another than w.
func (a *attempt) looking(w lockWord) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(a.bounded())
	every := a.c.settings().Mute
	if every <= 0 {
		every = defaultMute
	}
	var mu sync.Mutex
	var timer *time.Timer
	over := false
	look := func() {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		if now, err := a.c.look(); err != nil || !now.same(w) {
			cancel(errAgain)
			return
		}
		timer.Reset(every)
	}
	mu.Lock()
	timer = time.AfterFunc(every, look)
	mu.Unlock()
	return ctx, func() {
		mu.Lock()
		over = true
		timer.Stop()
		mu.Unlock()
		cancel(nil)
	}
}
