package ring

import (
	"sync/atomic"
	"unsafe"
)

// Aligned reports whether mem may begin a lane.
func Aligned(mem []byte) bool { return uintptr(unsafe.Pointer(&mem[0]))%Align == 0 }

// StartAt has the counters begin at n.
func (w *RowWriter) StartAt(n uint32) {
	w.put, w.limit, w.ended, w.seen = n, n, n, n
	w.word.Store(joinRows(n, n))
}

// Steps has step called between the steps of what q does.
func (q *Queue) Steps(step func(at string)) { q.step = step }

// Where words lie, for tests that write them.
const (
	OffPut, OffGet, OffTail, OffHead, OffTable, OffSlots = offPut, offGet, offPuts, offGets, offTable, offSlots
	OffItems, OffSpace, OffJoins                         = offItems, offSpace, offJoins

	MostTakers = mostTakers
	DiedBit    = diedBit
	SleepBit   = sleepBit
)

// Word returns the word at off.
func Word(mem []byte, off int) *atomic.Uint64 { return word64(mem, off) }

// Word32 returns the half word at off.
func Word32(mem []byte, off int) *atomic.Uint32 { return word32(mem, off) }

// Impatient has Alive asked after each sleep.
func (l *Lock) Impatient() { l.patience = 0 }

// Locks returns the locks of a queue.
func (q *Queue) Locks() (put, get *Lock) { return q.put, q.get }

// ErrKind is the error of a method of the other kind of queue.
var ErrKind = errKind

// Impatient has Alive asked after each sleep.
func (l *RWLock) Impatient() { l.lock.patience = 0 }

// Impatient has Alive asked after each sleep.
func (s *Semaphore) Impatient() { s.entry.patience, s.inner.patience = 0, 0 }

// Impatient has Alive asked after each sleep.
func (b *Barrier) Impatient() { b.patience = 0 }

// Words on which an RWLock and a Semaphore have others sleep.
const (
	OffReaderLeft = LockSize + line
	OffCome       = 2*LockSize + 32
)

// Beginnings are what an owner has done of an operation when it dies, by name.
func (l *RWLock) Beginnings(me uint32) map[string]func() {
	lock := func() { _, _ = l.lock.TryAcquire(me) }
	return map[string]func(){
		"write: lock":        lock,
		"write: seen":        func() { lock(); l.enter(me) },
		"write: in":          func() { lock(); l.enter(me); l.in(me) },
		"write: left":        func() { lock(); l.enter(me); l.in(me); l.leave(me | inBit) },
		"read: counted":      func() { l.readers.add(me, 1) },
		"read: counted, two": func() { l.readers.add(me, 2) },
		"read: lock":         lock,
		"read: lock counted": func() { lock(); l.readers.add(me, 1) },
	}
}

// Beginnings are as those of an RWLock, for two permits of an owner that has one.
func (s *Semaphore) Beginnings(me uint32) map[string]func() {
	s.TryAcquire(me, 1)
	inner := func() { _, _ = s.inner.TryAcquire(me) }
	entry := func() { _, _ = s.entry.TryAcquire(me) }
	add := func(n int) func() { return func() { inner(); s.held.add(me, n) } }
	return map[string]func(){
		"inner":                inner,
		"entry":                entry,
		"entry, inner":         func() { entry(); inner() },
		"acquire: counted":     add(2),
		"acquire: put":         func() { inner(); s.take(me, 2) },
		"release: counted":     add(-1),
		"count: stale cleared": func() { inner(); s.stale.Store(0); s.free.Store(77) },
		"take: put":            func() { inner(); s.put(s.count() - 2) },
		"post: total":          func() { inner(); s.total.Add(2); s.total.Add(^uint64(1)) },
	}
}

// What tests of a Cond need.
const (
	OffGoOn  = 8
	CondMost = condMost
)

// Beginnings are what an owner has done of an operation when it dies. The ticket is its own.
func (c *Cond) Beginnings(t Ticket) map[string]func() {
	state := func(step func(s *condState)) func() { return func() { c.change(step) } }
	signal := state(func(s *condState) { *s = condState{left: s.next - 1, signals: 1, group: s.group + 1} })
	return map[string]func(){
		"prepared":             func() {},
		"signalled by another": c.Signal,
		"took a signal":        func() { c.Signal(); c.take(t) },
		"gave up":              func() { c.Cancel(t) },
		"gave up a signal":     func() { c.Signal(); c.Signal(); c.Cancel(t) },
		"signals":              signal,
		"broadcasts":           state(func(s *condState) { *s = s.skip() }),
	}
}
