package ring

import (
	"context"
	"sync/atomic"
	"time"
)

// RWLockSize is how many bytes an RWLock takes.
const RWLockSize = LockSize + 2*line + tallySize

// RWLock is a lock that many read under or one writes under, which outlives its holders.
// Owners go by number, see Owners.
//
//	offset  word
//	0       a Lock: writers have it from when they want to write until they have written,
//	        readers for a moment if there is a writer
//	64      state: the writer's number, inBit if it writes | the writer that died writing << 32
//	72      since: when a writer found the first of the readers
//	128     a gate: readers leave
//	192     readers, a tally
//
//	who reads                             who writes
//	1. counts itself                      1. takes the Lock, sets state
//	2. loads state; in if no writer       2. loads the counts; in if there is none
//
// All accesses are sequentially consistent, so one of the two sees the other (Dekker). A reader
// that sees a writer takes its count back, and queues for the Lock, with which it counts
// itself and gives the Lock on. So whoever is free to read does one compare-and-swap, a
// writer that waits is passed by nobody, and readers and writers that wait take turns as the
// Lock has them. Who reads already must therefore not ask again, for a writer may have come.
//
// Who died writing stands in state, in the same word as the writer: the next writer takes it
// out in the step with which it is in, so it is told of once; readers until then are told and
// leave it there.
type RWLock struct {
	lock       *Lock
	state      *atomic.Uint64
	since      since
	readers    tally
	readerLeft gate
}

// inBit says in state that the writer is in.
const inBit = 1 << 31

// NewRWLock makes a lock of the first RWLockSize bytes of mem, which begin at a multiple of 8.
// New memory is all zero: free.
func NewRWLock(mem []byte, waits Waits) *RWLock {
	l := &RWLock{
		lock:       NewLock(mem, waits),
		state:      word64(mem, LockSize),
		since:      since{word64(mem, LockSize+8)},
		readerLeft: gate{word32(mem, LockSize+line), waits},
		readers:    newTally(mem[LockSize+2*line : RWLockSize]),
	}
	l.lock.settle = l.settle
	return l
}

// SetAlive is as Lock's Alive, for all holders. Call it before use.
func (l *RWLock) SetAlive(alive func(owner uint32) bool) { l.lock.Alive = alive }

// Lock takes the lock for writing; it is otherwise as Lock.Acquire. died is who died
// writing, 0 if nobody did. (Edges lock-passed; reader-left: a reader's RUnlock happens before the Lock
// that sees it gone.)
func (l *RWLock) Lock(ctx context.Context, me uint32) (died uint32, err error) {
	if _, err := l.lock.Acquire(ctx, me); err != nil {
		return 0, err
	}
	l.enter(me)
	if !l.readers.any() {
		return l.in(me), nil
	}
	for reader := range l.readers.all() {
		l.since.mark(reader, func() bool { return l.readers.of(reader) > 0 })
		break
	}
	look := l.readers.looker(l.lock.Alive, l.lock.patience, l.readers.clear)
	_, err = l.readerLeft.wait(ctx, func() bool {
		look()
		return !l.readers.any()
	})
	if err != nil {
		l.leave(me)
		l.lock.Release(me)
		return 0, err
	}
	return l.in(me), nil
}

// TryLock takes the lock for writing if nobody has it.
func (l *RWLock) TryLock(me uint32) (died uint32, ok bool) {
	if _, ok := l.lock.TryAcquire(me); !ok {
		return 0, false
	}
	l.enter(me)
	if l.readers.any() {
		l.leave(me)
		l.lock.Release(me)
		return 0, false
	}
	return l.in(me), true
}

// TakeFree is TryLock for who waits if it fails: it leaves the lock to who is owed it.
func (l *RWLock) TakeFree(me uint32) (died uint32, ok bool) {
	if l.lock.hungry.Load() != 0 {
		return 0, false
	}
	return l.TryLock(me)
}

// enter has readers see the writer, which has the Lock.
func (l *RWLock) enter(me uint32) {
	for s := l.state.Load(); !l.state.CompareAndSwap(s, s>>32<<32|uint64(me)); s = l.state.Load() {
	}
}

// in says that the writer writes, and returns who died writing.
func (l *RWLock) in(me uint32) (died uint32) {
	for {
		s := l.state.Load()
		if l.state.CompareAndSwap(s, uint64(me|inBit)) {
			return uint32(s >> 32)
		}
	}
}

// leave takes enter or in back, whose mark is me or me|inBit, and reports whether it was there.
func (l *RWLock) leave(mark uint32) bool {
	for {
		s := l.state.Load()
		if uint32(s) != mark {
			return false
		}
		if l.state.CompareAndSwap(s, s>>32<<32) {
			return true
		}
	}
}

// Unlock gives back what me has taken for writing, and reports whether it had.
func (l *RWLock) Unlock(me uint32) bool {
	return l.leave(me|inBit) && l.lock.Release(me)
}

// GiveOn is Unlock for who was told that died had died writing, and has not looked at what that left: the next
// are told.
func (l *RWLock) GiveOn(me, died uint32) bool {
	for {
		s := l.state.Load()
		if uint32(s) != me|inBit {
			return false
		}
		if l.state.CompareAndSwap(s, uint64(died)<<32) {
			return l.lock.Release(me)
		}
	}
}

// RLock takes the lock for reading; it is otherwise as Lock.Acquire. An owner may have it several
// times, of several goroutines; each gives it back. died is who died writing, if
// nobody has written since. (Edge lock-passed.)
func (l *RWLock) RLock(ctx context.Context, me uint32) (died uint32, err error) {
	if died, ok := l.TryRLock(me); ok {
		return died, nil
	}
	if _, err := l.lock.Acquire(ctx, me); err != nil {
		return 0, err
	}
	_, counted := l.readers.add(me, 1)
	died = uint32(l.state.Load() >> 32)
	l.lock.Release(me)
	if !counted { // there is rubbish in its count
		return 0, ErrCorrupt
	}
	return died, nil
}

// TryRLock takes the lock for reading if nobody writes or wants to.
func (l *RWLock) TryRLock(me uint32) (died uint32, ok bool) {
	if _, ok := l.readers.add(me, 1); !ok {
		return 0, false // there is rubbish in its count
	}
	s := l.state.Load()
	if uint32(s) != 0 {
		l.RUnlock(me)
		return 0, false
	}
	return uint32(s >> 32), true
}

// RUnlock gives back what me has taken for reading, once, and reports whether it had.
func (l *RWLock) RUnlock(me uint32) bool {
	left, ok := l.readers.add(me, -1)
	if !ok {
		return false
	}
	if left == 0 {
		l.since.forget(me)
	}
	l.readerLeft.open(1)
	return true
}

// Writer returns who writes, 0 if nobody does.
func (l *RWLock) Writer() uint32 {
	if w := uint32(l.state.Load()); w&inBit != 0 {
		return w &^ inBit
	}
	return 0
}

// Reads reports whether an owner has the lock for reading.
func (l *RWLock) Reads(owner uint32) bool { return l.readers.of(owner) > 0 }

// Holders returns who keeps a writer out: who writes, or all who read.
func (l *RWLock) Holders() (all []uint32) {
	if w := l.Writer(); w != 0 {
		return []uint32{w}
	}
	for reader := range l.readers.all() {
		all = append(all, reader)
	}
	return all
}

// Since returns since when at least a holder has had the lock, the zero time if that is not known: nobody has
// waited, or only for other readers.
func (l *RWLock) Since(holder uint32) time.Time {
	if l.Writer() == holder {
		return l.lock.since.of(holder)
	}
	return l.since.of(holder)
}

// settle ends the writing of who died with the Lock.
func (l *RWLock) settle(dead uint32) {
	for {
		s := l.state.Load()
		if uint32(s)&^inBit != dead {
			return
		}
		after := s >> 32 << 32 // as it had left it
		if uint32(s)&inBit != 0 {
			after = uint64(dead) << 32
		}
		if l.state.CompareAndSwap(s, after) {
			return
		}
	}
}

// Sweep takes from an owner that is no more what it has. Any process may call it.
func (l *RWLock) Sweep(dead uint32) {
	l.readers.clear(dead)
	l.since.forget(dead)
	l.lock.Sweep(dead)
	l.readerLeft.poke()
}
