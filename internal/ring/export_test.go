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
