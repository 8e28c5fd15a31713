package ring

import (
	"context"
	"sync/atomic"
	"time"
)

// SemaphoreSize is how many bytes a Semaphore takes.
const SemaphoreSize = 2*LockSize + line + tallySize

// Semaphore counts permits that owners acquire and release, and gets back those of owners
// that are no more. Owners go by number, see Owners.
//
//	offset  word
//	0       entry, a Lock: who has it is the next to get permits
//	64      inner, a Lock, held for a few steps: for the words below
//	128     total: how many permits there are
//	136     free: how many nobody has, unless stale
//	144     stale: free is to be counted again
//	152     since: when the one with the entry found that the first of the owners has some
//	160     a gate: permits come
//	192     what each owner has, a tally
//
// Who waits has the entry, so one that wants many permits is passed by nobody, and others get theirs
// in the order in which they come. Whatever the steps in which a process dies that has inner: the tally
// says what owners have, and free is counted again from it before inner passes on (settle). A sweep
// takes the dead one's permits out of the tally, which takes no lock, and sets stale: whoever
// has inner next counts.
type Semaphore struct {
	entry, inner       *Lock
	total, free, stale *atomic.Uint64
	since              since
	come               gate
	held               tally
}

// MostPermits is how many permits there can be.
const MostPermits = 1<<31 - 1

// NewSemaphore makes a semaphore of the first SemaphoreSize bytes of mem, which begin at a
// multiple of 8. New memory is all zero: there are no permits.
func NewSemaphore(mem []byte, waits Waits) *Semaphore {
	s := &Semaphore{
		entry: NewLock(mem, waits), inner: NewLock(mem[LockSize:], waits),
		total: word64(mem, 2*LockSize), free: word64(mem, 2*LockSize+8), stale: word64(mem, 2*LockSize+16),
		since: since{word64(mem, 2*LockSize+24)},
		come:  gate{word32(mem, 2*LockSize+32), waits},
		held:  newTally(mem[2*LockSize+line : SemaphoreSize]),
	}
	s.inner.settle = func(uint32) { s.stale.Store(1) }
	s.held.gone = s.inner.settle
	return s
}

// SetAlive is as Lock's Alive, for all holders. Call it before use.
func (s *Semaphore) SetAlive(alive func(owner uint32) bool) {
	s.entry.Alive, s.inner.Alive = alive, alive
}

// Init sets how many permits there are, of which nobody has any. Call it before use.
func (s *Semaphore) Init(total int) {
	s.total.Store(uint64(total))
	s.free.Store(uint64(total))
}

// Total returns how many permits there are.
func (s *Semaphore) Total() int { return int(min(s.total.Load(), MostPermits)) }

// Free returns how many permits nobody has, as of some moment.
func (s *Semaphore) Free() int { return max(s.Total()-s.taken(), 0) }

func (s *Semaphore) taken() (n int) {
	for _, has := range s.held.all() {
		n += has
	}
	return n
}

// Held returns how many permits an owner has.
func (s *Semaphore) Held(owner uint32) int { return s.held.of(owner) }

// Acquire takes n permits for number me: all of them or none. It waits until there are, or ctx ends,
// which gives its cause. (Edge permits-passed: what gives the permits back, or a sweep, happens
// before the Acquire that takes them.)
func (s *Semaphore) Acquire(ctx context.Context, me uint32, n int) error {
	return s.get(ctx, me, func() bool { return s.take(me, n) })
}

// Take takes n permits away: then there are fewer. It waits as Acquire does.
func (s *Semaphore) Take(ctx context.Context, me uint32, n int) error {
	return s.get(ctx, me, func() bool { return s.shrink(n) })
}

// TryAcquire is Acquire if it need not wait.
func (s *Semaphore) TryAcquire(me uint32, n int) bool {
	return s.try(me, func() bool { return s.take(me, n) })
}

// TryTake is Take if it need not wait.
func (s *Semaphore) TryTake(me uint32, n int) bool {
	return s.try(me, func() bool { return s.shrink(n) })
}

// try calls take if nobody waits, and inner is free within some microseconds.
func (s *Semaphore) try(me uint32, take func() bool) bool {
	if holder, _ := s.entry.Holder(); holder != 0 {
		return false
	}
	if !s.inner.TakeFree(me) {
		if _, ok := s.inner.Look(me); !ok {
			return false
		}
	}
	defer s.inner.Release(me)
	return take()
}

func (s *Semaphore) get(ctx context.Context, me uint32, take func() bool) error {
	if s.try(me, take) {
		return nil
	}
	if _, err := s.entry.Acquire(ctx, me); err != nil {
		return err
	}
	defer s.entry.Release(me)
	if s.within(ctx, me, take) {
		return nil
	}
	for owner := range s.held.all() {
		s.since.mark(owner, func() bool { return s.held.of(owner) > 0 })
		break
	}
	look := s.held.looker(s.entry.Alive, s.entry.patience, s.forget)
	_, err := s.come.wait(ctx, func() bool {
		look()
		return s.within(ctx, me, take)
	})
	return err
}

// within calls take while me has inner, and returns what that does; false if ctx ends before.
func (s *Semaphore) within(ctx context.Context, me uint32, take func() bool) bool {
	if _, err := s.inner.Acquire(ctx, me); err != nil {
		return false
	}
	defer s.inner.Release(me)
	return take()
}

// count has free be right. The caller has inner, as those of the methods below.
func (s *Semaphore) count() (free int) {
	if s.stale.Load() != 0 {
		s.stale.Store(0) // before it counts: who makes it stale now is not overlooked
		s.free.Store(uint64(s.Free()))
	}
	return int(min(s.free.Load(), MostPermits))
}

// put sets free.
func (s *Semaphore) put(free int) { s.free.Store(uint64(free)) }

func (s *Semaphore) take(me uint32, n int) bool {
	free := s.count()
	if free < n {
		return false
	}
	if _, ok := s.held.add(me, n); !ok {
		return false
	}
	s.put(free - n)
	return true
}

func (s *Semaphore) shrink(n int) bool {
	free := s.count()
	if free < n {
		return false
	}
	s.put(free - n)
	s.total.Store(uint64(max(s.Total()-n, 0)))
	return true
}

// Release gives n permits back and reports whether me had them; if not, nothing changes. It waits for nobody but who has
// inner, for a few steps, or until ctx ends, which gives its cause.
func (s *Semaphore) Release(ctx context.Context, me uint32, n int) (ok bool, err error) {
	return s.more(ctx, me, func() bool {
		free := s.count()
		left, ok := s.held.add(me, -n)
		if !ok {
			return false
		}
		if left == 0 {
			s.since.forget(me)
		}
		s.put(free + n)
		return true
	})
}

// Post adds n permits to those there are; false: there would be more than MostPermits. It waits as Release does.
func (s *Semaphore) Post(ctx context.Context, me uint32, n int) (ok bool, err error) {
	return s.more(ctx, me, func() bool {
		free, total := s.count(), s.Total()
		if n > MostPermits-total {
			return false
		}
		s.total.Store(uint64(total + n))
		s.put(free + n)
		return true
	})
}

func (s *Semaphore) more(ctx context.Context, me uint32, give func() bool) (ok bool, err error) {
	if _, err := s.inner.Acquire(ctx, me); err != nil {
		return false, err
	}
	ok = give()
	s.inner.Release(me)
	if ok {
		s.come.open(1)
	}
	return ok, nil
}

// Holders returns who has permits.
func (s *Semaphore) Holders() (all []uint32) {
	for owner := range s.held.all() {
		all = append(all, owner)
	}
	return all
}

// Since returns since when at least an owner has had some, the zero time if that is not known.
func (s *Semaphore) Since(holder uint32) time.Time { return s.since.of(holder) }

// forget takes an owner's permits. Free is counted again by whoever has inner next.
func (s *Semaphore) forget(owner uint32) {
	s.held.clear(owner)
	s.since.forget(owner)
	s.stale.Store(1)
}

// Sweep takes from an owner that is no more what it has. Any process may call it. It waits for nobody.
func (s *Semaphore) Sweep(dead uint32) {
	s.forget(dead)
	s.inner.Sweep(dead)
	s.entry.Sweep(dead)
	s.come.poke()
}
