package shm

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/ring"
)

// ErrTooMany is wrapped by the error for asking a semaphore for more permits than there
// are at that moment in all, since that could wait for ever, or for adding more than
// there can be. If Take reduces the number below what somebody already waits for, that
// wait goes on.
var ErrTooMany = xme.RegisterError("github.com/xenonmp/xme/shm.ErrTooMany", errors.New("too many permits"))

// Semaphore counts permits that tasks and processes share. Permits that an owner has
// acquired and not released come back when the owner is gone, because its process died or
// its task returned.
//
// Permits may also come and go without an owner: Post makes new ones and Take uses them
// up, whoever calls them. Thus a semaphore can say how many of something there are; what
// a process takes before it dies is gone.
//
// Waiters get their permits in the order in which their processes arrive, even those that
// want many. Everything else, including who the owner is, is as for a [Mutex].
type Semaphore struct{ prim }

// MaxPermits is the largest number of permits a semaphore can have.
const MaxPermits = ring.MostPermits

// NewSemaphore makes a semaphore with n permits, 0 to MaxPermits.
func NewSemaphore(n int) (*Semaphore, error) {
	if n < 0 || n > MaxPermits {
		return nil, fmt.Errorf("shm: a semaphore with %d permits: make it 0 to %d", n, MaxPermits)
	}
	s := &Semaphore{}
	err := s.open(kindSemaphore, func(_ []byte, g guard) { g.(semGuard).Init(n) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

// semGuard is a semaphore as others of this package see it.
type semGuard struct{ *ring.Semaphore }

func init() {
	guards[kindSemaphore] = guardKind{"semaphore", ring.SemaphoreSize, func(mem []byte) guard {
		return semGuard{ring.NewSemaphore(mem, waits{})}
	}}
}

func (g semGuard) Has(owner uint32) (has, told bool) { return g.Held(owner) > 0, false }

func (g semGuard) State() string {
	return fmt.Sprintf("%d of %d permits are free", g.Free(), g.Total())
}

func (s *Semaphore) sem() *ring.Semaphore { return s.l.guard.(semGuard).Semaphore }

// permits checks how many somebody wants or gives.
func (s *Semaphore) permits(n int) error {
	if n < 1 {
		return fmt.Errorf("shm: %s: %d permits: make it 1 or more", s.l.what(), n)
	}
	return nil
}

// withPermits calls f while the handle is open, if n is as it must be.
func (s *Semaphore) withPermits(n int, f func() error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.unuse()
	if err := s.permits(n); err != nil {
		return err
	}
	return f()
}

// Acquire gets n permits, 1 or more, all at once. It waits until there are that many, ctx
// ends, or this process closes the semaphore. If n is more than there are in all, it
// returns at once an error that wraps ErrTooMany. An error after a wait is a *WaitError,
// which says who has permits, and names the cycle if there is a deadlock. Permits that
// are free are acquired whether or not ctx has ended.
func (s *Semaphore) Acquire(ctx context.Context, n int) error {
	return s.withPermits(n, func() error {
		if total := s.sem().Total(); n > total {
			return fmt.Errorf("shm: %s: %w: %d of %d", s.l.what(), ErrTooMany, n, total)
		}
		if !s.sem().TryAcquire(s.own.number, n) {
			err := s.waitInTurn(ctx, func(ctx context.Context) error { return s.sem().Acquire(ctx, s.own.number, n) })
			if err != nil {
				return err
			}
		}
		return s.got(n)
	})
}

// TryAcquire gets n permits if they are free and nobody waits, and reports whether it got
// them.
func (s *Semaphore) TryAcquire(n int) (ok bool, err error) {
	err = s.withPermits(n, func() error {
		if ok = s.sem().TryAcquire(s.own.number, n); !ok {
			return nil
		}
		err := s.got(n)
		ok = err == nil
		return err
	})
	return ok, err
}

// Take uses up n permits, so that there are fewer in all. It waits for them as Acquire
// does, however many there are. If n is more than MaxPermits, which there can never be,
// the error wraps ErrTooMany.
func (s *Semaphore) Take(ctx context.Context, n int) error {
	return s.withPermits(n, func() error {
		if err := s.canBe(n); err != nil {
			return err
		}
		if !s.sem().TryTake(s.own.number, n) {
			err := s.waitInTurn(ctx, func(ctx context.Context) error { return s.sem().Take(ctx, s.own.number, n) })
			if err != nil {
				return err
			}
		}
		s.l.acquired()
		return nil
	})
}

// canBe checks that there can ever be as many permits.
func (s *Semaphore) canBe(n int) error {
	if n > MaxPermits {
		return fmt.Errorf("shm: %s: %w: %d, of at most %d", s.l.what(), ErrTooMany, n, MaxPermits)
	}
	return nil
}

// TryTake uses up n permits if they are free and nobody waits, and reports whether it
// did. More than MaxPermits is an error, as for Take.
func (s *Semaphore) TryTake(n int) (ok bool, err error) {
	err = s.withPermits(n, func() error {
		if err := s.canBe(n); err != nil {
			return err
		}
		if ok = s.sem().TryTake(s.own.number, n); ok {
			s.l.acquired()
		}
		return nil
	})
	return ok, err
}

// got is what who has n permits now returns, as that of a Mutex.
func (s *Semaphore) got(n int) error {
	s.l.acquired()
	if s.closed() {
		_, _ = s.sem().Release(context.Background(), s.own.number, n)
		return ErrClosed
	}
	return nil
}

// Release releases n permits. If this task, or this process outside its tasks, has fewer,
// it releases none and returns an error that wraps ErrNotHeld.
func (s *Semaphore) Release(n int) error {
	return s.withPermits(n, func() error {
		s.l.releases()
		ok, err := s.sem().Release(s.lifetime(), s.own.number, n)
		if err == nil && !ok {
			return fmt.Errorf("shm: %s: %w: %d permits, of which the caller has %d", s.l.what(), ErrNotHeld, n, s.sem().Held(s.own.number))
		}
		return err
	})
}

// Post adds n new permits, regardless of owners. It returns an error that wraps
// ErrTooMany if there would be more than MaxPermits in all.
func (s *Semaphore) Post(n int) error {
	return s.withPermits(n, func() error {
		s.l.releases()
		ok, err := s.sem().Post(s.lifetime(), s.own.number, n)
		if err == nil && !ok {
			return fmt.Errorf("shm: %s: %w: %d besides %d, of at most %d", s.l.what(), ErrTooMany, n, s.sem().Total(), MaxPermits)
		}
		return err
	})
}

// Do calls f while holding n permits, and releases them even if f panics. It returns f's
// error, or Acquire's if it did not get the permits. f must not release them itself: Do
// would then release others that its task holds.
func (s *Semaphore) Do(ctx context.Context, n int, f func() error) error {
	if err := s.Acquire(ctx, n); err != nil {
		return err
	}
	defer func() { _ = s.Release(n) }()
	return f()
}

// Permits returns how many permits there are in all, and how many of them are free at the
// moment; 0 for both if the semaphore is closed.
func (s *Semaphore) Permits() (total, free int) {
	if s.enter() != nil {
		return 0, 0
	}
	defer s.unuse()
	return s.sem().Total(), s.sem().Free()
}

// Holders returns who has permits.
func (s *Semaphore) Holders() []Holder { return s.holders() }

// Retain returns the same semaphore as a handle that the caller owns, as [Mutex.Retain]
// does.
func (s *Semaphore) Retain() (*Semaphore, error) {
	r := &Semaphore{}
	if err := s.retainPrim(&r.prim); err != nil {
		return nil, err
	}
	return r, nil
}
