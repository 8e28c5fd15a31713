package ring

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// LockSize is how many bytes a Lock takes: a cache line.
const LockSize = line

// The lock's word: the holder's number, or 0, and two bits.
const (
	pidMask  = 1<<30 - 1
	diedBit  = 1 << 30 // the last holder died, and nobody has been told
	sleepBit = 1 << 31 // somebody sleeps, or is about to
)

// How a lock waits.
const (
	mostLooks = 64 // rounds of looking before sleeping, at most
	manyTimes = 4  // rounds of sleeping after which a waiter is owed the lock
	wayTime   = time.Millisecond
)

// Lock is a lock that processes share and that outlives its holder. Each process
// makes its own over the same memory. Who holds it, or wants to, goes by a number, such as
// the pid of its process, that is not another's until it has been swept.
//
//	offset  word
//	0       holder's number | somebody sleeps | the last holder died
//	4       hungry: number of who has lost too often, the next holder
//	8       since: when who waited saw that it was held, ms << 22 | whose tenure that was
//	16      dead: the number of the holder that died last
//
// Goroutines of the same number exclude each other as others do; only, each that waits
// holds a thread: the caller's own lock sees to it that of many one waits here.
//
// No wake-up is lost: who sleeps sets the bit by compare-and-swap while the lock is
// held, then sleeps while the word is unchanged; Release changes the word, in one swap
// that also takes the bit, then wakes one. So a sleeper either sees the change, or its
// bit is seen. As the bit stood for all who sleep and only one is woken, whoever has
// slept takes the lock with the bit set, or wakes another before it goes without
// it. A process that is killed between the release and the wake-up, or after the
// wake-up, owes one: Sweep wakes everybody, and no sleep is longer than a second.
//
// No waiter starves: a lock that is released may be taken by who comes, which is fast,
// but a waiter that has lost four times writes its pid into hungry: then
// Release wakes everybody, and all others stand back until it has the lock (or
// has not come for a millisecond: it may be dead). TryAcquire does not stand back.
type Lock struct {
	word, hungry *atomic.Uint32
	since        since
	dead         *atomic.Uint32
	waits        Waits

	// Alive, which may be nil, says whether there is a holder of that number. A waiter
	// that has waited for a second asks, and frees the lock of a holder that is no more.
	// Set it before use.
	Alive func(holder uint32) bool

	patience time.Duration
	looks    atomic.Int32      // how many rounds of looking have helped of late
	settle   func(dead uint32) // called before the lock is taken from a dead process
}

// NewLock makes a lock of the first LockSize bytes of mem, which begin at a multiple
// of 8. New memory is all zero: free.
func NewLock(mem []byte, waits Waits) *Lock {
	return &Lock{
		word: word32(mem[:LockSize], 0), hungry: word32(mem[:LockSize], 4), since: since{word64(mem[:LockSize], 8)}, dead: word32(mem[:LockSize], 16),
		waits: waits, patience: bound,
	}
}

// Acquire takes the lock for number me, which is not 0 and below 1<<30. It
// blocks until it has it, or ctx ends, which gives ctx's cause; a free lock is taken
// whether ctx has ended or not. died says that the last holder died holding it:
// what it guards may be half-done. (Edge lock-passed: the Release or Sweep that frees it
// happens before the Acquire that takes it.)
func (l *Lock) Acquire(ctx context.Context, me uint32) (died bool, err error) {
	if me == 0 || me > pidMask {
		panic(fmt.Sprintf("ring: a lock for number %d", me))
	}
	if l.TakeFree(me) {
		return false, nil
	}
	if died, ok := l.Look(me); ok {
		return died, nil
	}
	return l.sleep(ctx, me)
}

// TakeFree is the short path: it takes the lock if nobody has it, sleeps for it, is owed it,
// or died with it.
func (l *Lock) TakeFree(me uint32) bool {
	return l.hungry.Load() == 0 && l.word.CompareAndSwap(0, me)
}

// TryAcquire takes the lock if it is free.
func (l *Lock) TryAcquire(me uint32) (died, ok bool) {
	for {
		w := l.word.Load()
		if w&pidMask != 0 {
			return false, false
		}
		if l.word.CompareAndSwap(w, w&sleepBit|me) {
			return w&diedBit != 0, true
		}
	}
}

// Look tries for some microseconds, for less long if that did not help of late.
func (l *Lock) Look(me uint32) (died, ok bool) {
	usual := l.looks.Load()
	for i := range min(2*usual+4, mostLooks) {
		for range 16 {
			if l.word.Load()&pidMask == 0 && l.hungry.Load() == 0 {
				if died, ok := l.TryAcquire(me); ok {
					l.looks.Store(usual + (i+1-usual)/4)
					return died, true
				}
			}
		}
		runtime.Gosched()
	}
	l.looks.Store(usual - (usual+3)/4)
	return false, false
}

func (l *Lock) sleep(ctx context.Context, me uint32) (died bool, err error) {
	stop := atEnd(ctx, func() { l.waits.Wake(l.word, everybody) })
	defer stop()
	defer l.hungry.CompareAndSwap(me, 0)
	slept := uint32(0) // sleepBit once this one has slept: others may sleep still
	since := time.Now()
	for lost := 0; ; {
		w := l.word.Load()
		if w&pidMask == 0 {
			if hungry := l.hungry.Load(); hungry != 0 && hungry != me && ctx.Err() == nil {
				l.standBack(w, hungry)
				slept = sleepBit
			} else if l.word.CompareAndSwap(w, w&sleepBit|slept|me) {
				return w&diedBit != 0, nil
			}
			continue
		}
		if ctx.Err() != nil {
			l.sated(me)
			if slept != 0 {
				l.waits.Wake(l.word, 1) // it may have been woken in place of another
			}
			return false, context.Cause(ctx)
		}
		if w&sleepBit == 0 && !l.word.CompareAndSwap(w, w|sleepBit) {
			continue
		}
		l.since.mark(w&pidMask, func() bool { return l.word.Load()&pidMask == w&pidMask })
		l.waits.Wait(l.word, w|sleepBit, bound)
		slept = sleepBit
		if l.Alive != nil && time.Since(since) >= l.patience {
			if !l.Alive(w & pidMask) {
				l.free(w & pidMask)
			}
			since = time.Now()
		}
		if lost++; lost >= manyTimes {
			l.hungry.CompareAndSwap(0, me)
		}
	}
}

// standBack lets the hungry process take the lock, which was free when its word was w.
func (l *Lock) standBack(w, hungry uint32) {
	if w&sleepBit == 0 && !l.word.CompareAndSwap(w, w|sleepBit) {
		return
	}
	if l.hungry.Load() != hungry { // after the bit: it may have come and gone
		return
	}
	since := time.Now()
	l.waits.Wait(l.word, w|sleepBit, wayTime)
	if l.word.Load() == w|sleepBit && time.Since(since) >= wayTime {
		l.hungry.CompareAndSwap(hungry, 0) // it did not come
	}
}

// sated says that somebody is hungry no more, though it has not had the lock: those who stand back for it
// shall look again. As one of them may be about to sleep, the word is changed.
func (l *Lock) sated(who uint32) {
	if !l.hungry.CompareAndSwap(who, 0) {
		return
	}
	for w := l.word.Load(); w&pidMask == 0 && w&sleepBit != 0; w = l.word.Load() {
		if l.word.CompareAndSwap(w, w&^sleepBit) {
			l.waits.Wake(l.word, everybody)
			return
		}
	}
}

// Died returns the number of the holder that died last, for who has been told that one did.
func (l *Lock) Died() uint32 { return l.dead.Load() }

// Holder returns the number of who holds the lock, 0 if nobody does, and since when it
// was held at least, the zero time if nobody has waited for it.
func (l *Lock) Holder() (holder uint32, since time.Time) {
	at := l.since.word.Load()
	holder = l.word.Load() & pidMask
	return holder, sinceOf(at, holder)
}

// Release frees the lock, which me holds, and wakes a waiter if any sleeps. It does
// nothing, and returns false, if me does not hold it (any longer, because it was thought to
// be dead).
func (l *Lock) Release(me uint32) bool {
	if l.word.CompareAndSwap(me, 0) {
		return true
	}
	for {
		w := l.word.Load()
		if w&pidMask != me {
			return false
		}
		if !l.word.CompareAndSwap(w, 0) {
			continue
		}
		if w&sleepBit != 0 {
			l.since.word.Store(0)
			n := 1
			if l.hungry.Load() != 0 {
				n = everybody
			}
			l.waits.Wake(l.word, n)
		}
		return true
	}
}

// GiveOn frees the lock as Release does, for who was told that the last holder died and has not looked at what that
// left: the next holder is told.
func (l *Lock) GiveOn(me uint32) bool {
	for {
		w := l.word.Load()
		if me == 0 || w&pidMask != me {
			return false
		}
		if l.word.CompareAndSwap(w, diedBit) {
			l.since.word.Store(0)
			l.waits.Wake(l.word, everybody)
			return true
		}
	}
}

// Sweep says that the process of pid dead is no more. It reports whether that held the
// lock: then the lock is free, and the next holder is told. Any process may call it, as
// long as no other process can have got the pid.
func (l *Lock) Sweep(dead uint32) bool {
	l.sated(dead)
	freed := l.free(dead)
	l.since.word.Store(0) // it may have stamped a tenure that was over; who waits stamps again
	if !freed {
		l.waits.Wake(l.word, everybody) // it may have died between a release and its wake-up
	}
	return freed
}

// free takes the lock from a dead holder: one compare-and-swap, so of several callers
// one succeeds.
func (l *Lock) free(dead uint32) bool {
	for {
		w := l.word.Load()
		if dead == 0 || w&pidMask != dead {
			return false
		}
		if l.settle != nil {
			l.settle(dead)
		}
		l.dead.Store(dead) // before: who is told asks for it
		if l.word.CompareAndSwap(w, diedBit) {
			l.waits.Wake(l.word, everybody)
			return true
		}
	}
}
