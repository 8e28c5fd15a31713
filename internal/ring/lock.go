package ring

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// Env is how a process waits for others, and looks after them.
type Env struct {
	// Wait blocks while the word is old, until Wake or for as long as d. It may return
	// earlier for no reason.
	Wait func(word *atomic.Uint32, old uint32, d time.Duration)
	// Wake ends up to n waits on the word.
	Wake func(word *atomic.Uint32, n int)
	// Alive reports whether a process of that number lives. nil: they all do.
	Alive func(pid uint32) bool
}

// waitBound is how long one wait lasts at most: should a wake-up be lost with its process,
// or a holder die that nobody sweeps for, that long nothing moves and no longer.
const waitBound = time.Second

// everybody is more than wait on one word.
const everybody = 1 << 30

// Lock is a lock word in memory that processes share. It survives its holder: who knows
// that a process is dead says so (Sweep), before the process's number can be another's.
//
//	bits 0-29  the holder's process number; 0: free
//	bit 30     the last holder died, and nobody has been told
//	bit 31     somebody may be asleep on the word
//
// Free, it costs one compare-and-swap, and gives one to be free again. There is no queue:
// a process that runs may take the lock before one that is being woken, which then sleeps
// again. Nobody loses a wake-up: who sleeps has set bit 31 in the very value that the
// kernel compares before it puts him to sleep, and whoever takes the word to free takes
// the bit with it and wakes. Who has slept takes the lock with bit 31 set, for others may
// sleep still.
//
// In one process at most one goroutine at a time may be in Acquire or hold the lock.
type Lock struct {
	word *atomic.Uint32
	env  *Env
	dead func(pid uint32) // sweeps for a holder that was found dead
}

const (
	lockHolder = 1<<30 - 1
	lockDied   = 1 << 30
	lockWaits  = 1 << 31
)

// NewLock makes a lock of a word, which is 0 when it is new. dead is called with a holder
// that Alive denies, and must end in Sweep; nil: it is Sweep.
func NewLock(word *atomic.Uint32, env *Env, dead func(pid uint32)) Lock {
	l := Lock{word: word, env: env, dead: dead}
	if dead == nil {
		l.dead = func(pid uint32) { l.Sweep(pid) }
	}
	return l
}

// TryAcquire takes the lock if it is free. died says that its last holder died with it.
func (l *Lock) TryAcquire(me uint32) (ok, died bool) { return l.try(me, 0) }

func (l *Lock) try(me, waits uint32) (ok, died bool) {
	for {
		w := l.word.Load()
		if w&lockHolder != 0 {
			return false, false
		}
		if l.word.CompareAndSwap(w, me|w&lockWaits|waits) {
			return true, w&lockDied != 0
		}
	}
}

// lockSpins is how often a free moment is looked for before sleeping: critical sections
// are far shorter than a wake-up.
const lockSpins = 200

// Acquire takes the lock, waiting until ctx ends. died says that its last holder died
// with it: what it was at may be half done.
func (l *Lock) Acquire(ctx context.Context, me uint32) (died bool, err error) {
	for i := range lockSpins {
		if ok, died := l.try(me, 0); ok {
			return died, nil
		}
		if i%16 == 15 {
			runtime.Gosched()
		}
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { l.env.Wake(l.word, everybody) })()
	}
	for {
		if ok, died := l.try(me, lockWaits); ok {
			return died, nil
		}
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		w := l.word.Load()
		holder := w & lockHolder
		if holder == 0 || w&lockWaits == 0 && !l.word.CompareAndSwap(w, w|lockWaits) {
			continue
		}
		begin := time.Now()
		l.env.Wait(l.word, w|lockWaits, waitBound)
		if time.Since(begin) >= waitBound/2 && l.env.Alive != nil && !l.env.Alive(holder) {
			l.dead(holder)
		}
	}
}

// Release gives the lock back.
func (l *Lock) Release(me uint32) {
	for {
		w := l.word.Load()
		if w&lockHolder != me {
			return // swept: somebody takes this process for dead, or wrote rubbish here
		}
		if l.word.CompareAndSwap(w, 0) {
			if w&lockWaits != 0 {
				l.env.Wake(l.word, 1)
			}
			return
		}
	}
}

// Holder returns the number of the process that holds the lock; 0: none.
func (l *Lock) Holder() uint32 { return l.word.Load() & lockHolder }

// Sweep frees the lock if a process that is dead holds it, and reports whether it did.
func (l *Lock) Sweep(dead uint32) bool {
	for {
		w := l.word.Load()
		if dead == 0 || w&lockHolder != dead {
			return false
		}
		if l.word.CompareAndSwap(w, lockDied) {
			if w&lockWaits != 0 {
				l.env.Wake(l.word, everybody)
			}
			return true
		}
	}
}
