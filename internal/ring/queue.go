package ring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync/atomic"
	"time"
)

// ErrEnded says that nothing more can be put in a queue. ErrWouldWait is the answer of
// the Try forms where the others would block.
var (
	ErrEnded     = errors.New("the queue has ended")
	ErrWouldWait = errors.New("it would have to wait")
)

// Where the words of a queue lie.
const (
	offMagic  = 0   // magic, slots, elem, arena: written once
	offPut    = 64  // the put side's lock
	offGet    = 128 // the get side's lock
	offPuts   = 192 // tail: how many items were ever put; its highest bit: the queue has ended
	offGets   = 256 // head: how many were ever taken
	offItems  = 320 // gate: who waits for an item
	offSpace  = 384 // gate: who waits for room
	offJoins  = 448 // gate: who waits for all to be done
	offTaking = 512 // used: how many lines of the table are or were; last: who was lost last
	offTable  = 576 // the table of takers, and a line for all that found no room in it
	offSlots  = offTable + (mostTakers+1)*line

	mostTakers = 256
	queueMagic = 0x31_65_75_65_75_71_6d_78 // "xmqueue1"
	endedBit   = 1 << 63
)

// Queue is a bounded queue of many producers and many consumers in many processes. Each
// process makes its own over the same memory. A process may be killed anywhere.
//
//	offset  word                            written by
//	0       magic, slots, elem, arena       who makes the queue
//	64      put lock                        producers
//	128     get lock                        consumers
//	192     tail: items put | ended         who holds the put lock; End
//	256     head: items taken               who holds the get lock
//	320     gate: consumers wait            they set the bit, who puts takes it
//	384     gate: a producer waits          it sets the bit, who takes an item takes it
//	448     gate: joiners wait              they set the bit, who is done takes it
//	512     takers, last lost               who holds the get lock; Sweep
//	576     257 takers, a line each         the process that a line is of; Sweep
//	17024   slots                           who holds the put lock
//	...     arena                           who holds the put lock
//
// Item number i is in slot i modulo slots: the element itself if all have the same
// size, else where its bytes are in the arena (place). Bytes lie in the order of the
// items, each item in one piece, beginning at a multiple of 8: what does not fit before
// the arena's end goes to its start, and the rest of the end is skipped.
//
// A producer holds the put lock, also while it waits for room; a consumer that waits
// for an item holds nothing. An item is there once tail, and gone once head has
// moved: each is one change of one word, after all else has been written or copied. So
// who dies before it has changed nothing, and who dies after it owes at most a wake-up
// (see Sweep), and what it took and was not done with (see taker).
//
// In one process at most one goroutine at a time puts, and one gets; others may Done,
// Join, End and ask meanwhile.
type Queue struct {
	// Spin is how long Get and Put look for an item or for room before they sleep.
	Spin time.Duration
	// Yield is called between the looks.
	Yield func()

	slots, elem uint64 // elem 0: items of any size
	elems       []byte // the slots, if elem is not 0
	places      []place
	arena       []byte

	tail, head *atomic.Uint64
	used, last *atomic.Uint64
	table      []taker // the last is everybody's
	joins      gate

	mine atomic.Pointer[taker] // a guess
	told atomic.Uint64         // lost items that Join has told of

	_    [line]byte
	put  *Lock
	room gate
	seen uint64 // the head when a producer last looked: under the put lock
	_    [line]byte
	get  *Lock
	item gate

	step func(at string) // tests look at the memory here
}

// spin is the Spin of a new Queue.
const spin = 20 * time.Microsecond

// QueueSize returns how many bytes a queue takes: of slots elements of elem bytes; or,
// with elem 0, of at most slots items that have at most arena bytes together. 0: there is
// no such queue.
func QueueSize(slots, elem, arena int) int {
	each := elem
	if elem == 0 {
		each = placeSize
	}
	if slots < 1 || elem < 0 || arena < 0 || (elem == 0) != (arena > 0) ||
		slots > math.MaxInt/2/each-offSlots || arena > math.MaxInt/2-line {
		return 0
	}
	return offSlots + padded(slots*each, line) + padded(arena, line)
}

// NewQueue makes a queue of the first QueueSize bytes of mem, which is all zero and
// begins at a multiple of 8.
func NewQueue(mem []byte, slots, elem, arena int, waits Waits) (*Queue, error) {
	if size := QueueSize(slots, elem, arena); size == 0 || len(mem) < size || !placed(mem) {
		return nil, fmt.Errorf("a queue with %d slots of %d bytes and %d bytes for items needs %d bytes at a multiple of 8, not %d",
			slots, elem, arena, size, len(mem))
	}
	h := words(mem[:line])
	for i, v := range []int{slots, elem, arena} {
		h[1+i].Store(uint64(v))
	}
	h[0].Store(queueMagic)
	return OpenQueue(mem, waits)
}

// OpenQueue opens a queue that NewQueue made, maybe in another process. What it finds
// there is looked at, once: it gives ErrCorrupt if it cannot be.
func OpenQueue(mem []byte, waits Waits) (*Queue, error) {
	if len(mem) < offSlots || !placed(mem) {
		return nil, fmt.Errorf("a queue in %d bytes: %w", len(mem), ErrCorrupt)
	}
	h := words(mem[:line])
	slots, elem, arena := int(h[1].Load()), int(h[2].Load()), int(h[3].Load())
	if size := QueueSize(slots, elem, arena); h[0].Load() != queueMagic || size == 0 || size > len(mem) {
		return nil, fmt.Errorf("a queue with %d slots of %d bytes and %d bytes for items in %d bytes: %w", slots, elem, arena, len(mem), ErrCorrupt)
	}
	q := &Queue{
		Spin: spin, Yield: runtime.Gosched,
		slots: uint64(slots), elem: uint64(elem),
		tail: word64(mem, offPuts), head: word64(mem, offGets),
		used: word64(mem, offTaking), last: word64(mem, offTaking+8),
		table: takers(mem[offTable:offSlots]),
		put:   NewLock(mem[offPut:], waits), get: NewLock(mem[offGet:], waits),
		room: gate{word32(mem, offSpace), waits}, item: gate{word32(mem, offItems), waits}, joins: gate{word32(mem, offJoins), waits},
	}
	if elem > 0 {
		q.elems = mem[offSlots : offSlots+slots*elem]
	} else {
		q.places = places(mem[offSlots : offSlots+slots*placeSize])
		at := offSlots + padded(slots*placeSize, line)
		q.arena = mem[at : at+padded(arena, 8)]
	}
	q.get.settle = q.settle
	return q, nil
}

// SetAlive gives both locks their Alive; call it before use.
func (q *Queue) SetAlive(alive func(pid uint32) bool) { q.put.Alive, q.get.Alive = alive, alive }

// Cap returns how many items there can be at a time.
func (q *Queue) Cap() int { return int(q.slots) }

// Elem returns the size of an element, 0 if items have any size.
func (q *Queue) Elem() int { return int(q.elem) }

// Len returns how many items there are now.
func (q *Queue) Len() int {
	head := q.head.Load()
	return int(min(q.tail.Load()&^endedBit-head, q.slots))
}

// End lets nothing more be put in: puts give ErrEnded, gets io.EOF once they
// have taken all that is there, and who waits is woken. (The end is a bit of tail, so
// each put comes before it or fails.)
func (q *Queue) End() {
	q.tail.Or(endedBit)
	q.item.poke()
	q.room.poke()
}

// Ended reports whether End was called.
func (q *Queue) Ended() bool { return q.tail.Load()&endedBit != 0 }

// something reports whether a consumer has anything to see: an item, the end, rubbish.
func (q *Queue) something() bool {
	head := q.head.Load() // first: it never passes tail
	return q.tail.Load() != head
}

// items returns how many items there are, for who holds the get lock.
func (q *Queue) items() (head, n uint64, err error) {
	head = q.head.Load()
	tail := q.tail.Load() // edge item-put
	if n = tail&^endedBit - head; n > q.slots {
		return head, 0, fmt.Errorf("%d items put and %d taken, of a queue of %d: %w", tail&^endedBit, head, q.slots, ErrCorrupt)
	}
	if n == 0 && tail&endedBit != 0 {
		return head, 0, io.EOF
	}
	return head, n, nil
}

// await looks for a little while, then sleeps, see gate.wait.
func (q *Queue) await(ctx context.Context, g gate, ready func() bool) (slept bool, err error) {
	for start := time.Now(); time.Since(start) < q.Spin; {
		for range 32 {
			if ready() {
				return false, nil
			}
		}
		q.Yield()
	}
	return g.wait(ctx, ready)
}

// enter takes one side's lock.
func (q *Queue) enter(ctx context.Context, l *Lock, me uint32, try bool) error {
	if !try {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, err := l.Acquire(ctx, me)
		return err
	}
	for range mostLooks {
		if _, ok := l.TryAcquire(me); ok {
			return nil
		}
		q.Yield()
	}
	return ErrWouldWait
}

func (q *Queue) at(step string) {
	if q.step != nil {
		q.step(step)
	}
}
