package shm

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/ring"
)

// ErrTooMany is wrapped by the error of who asks a semaphore for more permits than there are at that moment, so that it could wait for ever, or
// adds more than there can be. Who waits already when Take has made them too few waits on.
var ErrTooMany = xme.RegisterError("github.com/xenonmp/xme/shm.ErrTooMany", errors.New("too many permits"))

// Semaphore counts permits that tasks and processes share. What an owner has acquired and not released comes back when it is no more,
// be it that its process died or that a task returned.
//
// Permits may also come and go without an owner: Post makes new ones, Take uses them up, by whoever it may be. So
// a semaphore says how many of something are there; what a process takes that dies then is gone.
//
// Those who wait get their permits in the order in which their processes come, also who wants many. Everything else, who the owner is
// too, is as with a [Mutex].
type Semaphore struct{ prim }

// MaxPermits is how many permits a semaphore can have.
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

// Acquire gets n permits, 1 or more, all of them at once. It waits until there are so many, ctx ends, or this process closes the
// semaphore. It returns an error that wraps ErrTooMany at once if n is more than there are in all, and a *WaitError after a wait, which says
// who has permits, and names the cycle if that is a deadlock. Permits that are free are got whether ctx has ended or not.
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

// TryAcquire gets n permits if they are free and nobody waits, and reports whether it did.
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

// Take uses n permits up: then there are fewer in all. It waits for them as Acquire does, however many there are. More than MaxPermits can
// never be: an error that wraps ErrTooMany.
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

// TryTake uses n permits up if they are free and nobody waits, and reports whether it did. More than MaxPermits is an error, as of Take.
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

// Release gives n permits back. It returns an error that wraps ErrNotHeld, and gives none back, if this task, or this process outside
// of its tasks, has fewer.
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

// Post makes n new permits, which need not be anybody's. It returns an error that wraps ErrTooMany if there would be more
// than MaxPermits in all.
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

// Do calls f while it has n permits, and gives them back also if f panics. It returns f's error, or Acquire's if they were not got. f must not
// release them itself: then Do would give back others that its task holds.
func (s *Semaphore) Do(ctx context.Context, n int, f func() error) error {
	if err := s.Acquire(ctx, n); err != nil {
		return err
	}
	defer func() { _ = s.Release(n) }()
	return f()
}

// Permits returns how many permits there are in all, and how many of them are free at this moment; 0 of a closed semaphore.
func (s *Semaphore) Permits() (total, free int) {
	if s.enter() != nil {
		return 0, 0
	}
	defer s.unuse()
	return s.sem().Total(), s.sem().Free()
}

// Holders returns who has permits.
func (s *Semaphore) Holders() []Holder { return s.holders() }

// Retain returns the same semaphore as the caller's own, as [Mutex.Retain] does.
func (s *Semaphore) Retain() (*Semaphore, error) {
	r := &Semaphore{}
	if err := s.retainPrim(&r.prim); err != nil {
		return nil, err
	}
	return r, nil
}
