package ring

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
	"unsafe"
)

// Queue is a bounded queue of items that any number of processes put in and take out,
// each of which may be killed at any instruction.
//
//	offset  word           written by
//	0       shape          who makes it: a mark, slots, size of an element, size of the arena
//	64      put lock       one who puts has it, also while it waits for room
//	128     get lock       one who gets has it, also while it waits for items
//	192     tail           items put since the start      the put lock's holder
//	256     head           items taken since the start    the get lock's holder
//	320     ended          anybody
//	384     getter sleeps  the get lock's holder sets, who puts takes
//	448     putter sleeps  the put lock's holder sets, who gets takes
//	512     done, lost     items accounted for; by whom the last were lost
//	576     joiners        who waits for all to be done, and a count to sleep on
//	640     takers         64 bytes for each process that takes items
//	…       slots          elements of fixed size; or an offset and a length in the arena each
//	…       arena          bytes of elements whose sizes differ
//
// An item is there once tail, stored once for all items of a Put, counts it, and gone once
// head does, which is stored after it has been copied out. So who is killed has put all of
// a part of his items or none, and what he had not taken is still there.
//
// Edges: item-put, the store of tail to the load of tail by who gets; slot-free, the store
// of head to the load of head by who puts. Sleeping is as everywhere in this package: the
// sleeper sets its word, then looks again, then sleeps on the word; the waker publishes,
// then takes the word.
type Queue struct {
	// Spin is how long one looks for an item, or for room, before sleeping.
	Spin time.Duration

	slots, elem, stride, arena int

	env            *Env
	putLock        Lock
	getLock        Lock
	tail, head     *atomic.Uint64
	ended          *atomic.Uint32
	getter, putter *atomic.Uint32
	done, lost     *atomic.Uint64
	lostBy         *atomic.Uint64
	joining        *atomic.Uint32 // somebody waits
	joins          *atomic.Uint32 // what they sleep on

	takers []taker
	mine   atomic.Pointer[taker] // this process's; who holds the get lock sets it

	slotArea, arenaArea []byte
}

// taker is what one process has taken and not yet said to be done with.
type taker struct {
	pid  atomic.Uint32 // 0: free
	_    uint32
	work atomic.Uint64 // items held << 32 | items that are being taken
	from atomic.Uint64 // head when the taking began
	_    [40]byte
}

const (
	queueMark  = 0x31657565757165_78 // of this layout
	offTakers  = 640
	takers     = 128
	offSlots   = offTakers + takers*64
	descriptor = 16

	// MaxItem bounds an item of a queue of any sizes.
	MaxItem = 1 << 31
	// maxSlots bounds a queue.
	maxSlots = 1 << 32
)

// ErrEnded says that no more may be put in a queue.
var ErrEnded = errors.New("the queue has been ended")

// QueueSize returns how many bytes a queue takes: elements of one size, or, with elem 0,
// of any that fit in the arena. It is 0 if there can be no such queue.
func QueueSize(slots, elem, arena int) int {
	stride := strideOf(elem)
	hi, area := bits.Mul64(uint64(slots), uint64(stride))
	if slots < 1 || elem < 0 || arena < 0 || uint64(slots) > maxSlots || elem > MaxItem || hi != 0 || area > 1<<46 || uint64(arena) > 1<<46 || elem == 0 && arena < 8 {
		return 0
	}
	return offSlots + int(area) + roundUp(arena, 8)
}

func strideOf(elem int) int {
	if elem == 0 {
		return descriptor
	}
	return roundUp(elem, 8)
}

// NewQueue makes a queue in memory of QueueSize that is all zero.
func NewQueue(mem []byte, slots, elem, arena int, env *Env) (*Queue, error) {
	size := QueueSize(slots, elem, arena)
	if size == 0 || size > len(mem) {
		return nil, fmt.Errorf("a queue of %d items of %d bytes, and %d bytes for their content, in %d bytes", slots, elem, arena, len(mem))
	}
	for i, v := range []uint64{queueMark, uint64(slots), uint64(elem), uint64(arena)} {
		word64(mem, 8*i).Store(v)
	}
	return OpenQueue(mem, env)
}

// OpenQueue finds the queue that another process has made, unless that is none.
func OpenQueue(mem []byte, env *Env) (*Queue, error) {
	if len(mem) < offSlots || uintptr(unsafe.Pointer(unsafe.SliceData(mem)))%8 != 0 {
		return nil, fmt.Errorf("%w: a queue in %d bytes", ErrCorrupt, len(mem))
	}
	slots, elem, arena := word64(mem, 8).Load(), word64(mem, 16).Load(), word64(mem, 24).Load()
	if word64(mem, 0).Load() != queueMark || slots > maxSlots || elem > MaxItem || arena > 1<<46 {
		return nil, fmt.Errorf("%w: no queue", ErrCorrupt)
	}
	size := QueueSize(int(slots), int(elem), int(arena))
	if size == 0 || size > len(mem) {
		return nil, fmt.Errorf("%w: a queue of %d bytes in %d", ErrCorrupt, size, len(mem))
	}
	q := &Queue{
		slots: int(slots), elem: int(elem), stride: strideOf(int(elem)), arena: int(arena), env: env,
		tail: word64(mem, 192), head: word64(mem, 256), ended: word32(mem, 320), getter: word32(mem, 384), putter: word32(mem, 448),
		done: word64(mem, 512), lost: word64(mem, 520), lostBy: word64(mem, 528), joining: word32(mem, 576), joins: word32(mem, 580),
		takers: unsafe.Slice((*taker)(unsafe.Pointer(&mem[offTakers])), takers),
	}
	q.putLock = NewLock(word32(mem, 64), env, q.Sweep)
	q.getLock = NewLock(word32(mem, 128), env, q.Sweep)
	q.slotArea = mem[offSlots : offSlots+q.slots*q.stride]
	q.arenaArea = mem[offSlots+q.slots*q.stride:][:roundUp(q.arena, 8)]
	return q, nil
}

func word64(mem []byte, off int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&mem[off])) }

func word32(mem []byte, off int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&mem[off])) }

// slot returns the memory of the n-th item since the start.
func (q *Queue) slot(n uint64) []byte {
	at := int(n%uint64(q.slots)) * q.stride
	return q.slotArea[at : at+q.stride : at+q.stride]
}

// copyIn copies whole elements to the slots from the n-th item since the start on, which
// are free; copyOut copies them from there.
func (q *Queue) copyIn(n uint64, src []byte) {
	for len(src) > 0 {
		slots, k := q.run(n, len(src)/q.elem)
		if q.stride == q.elem {
			copy(slots, src[:k*q.elem])
		} else {
			for i := range k {
				copy(slots[i*q.stride:], src[i*q.elem:(i+1)*q.elem])
			}
		}
		n, src = n+uint64(k), src[k*q.elem:]
	}
}

func (q *Queue) copyOut(dst []byte, n uint64) {
	for len(dst) > 0 {
		slots, k := q.run(n, len(dst)/q.elem)
		if q.stride == q.elem {
			copy(dst, slots)
		} else {
			for i := range k {
				copy(dst[i*q.elem:(i+1)*q.elem], slots[i*q.stride:])
			}
		}
		n, dst = n+uint64(k), dst[k*q.elem:]
	}
}

// run returns the memory of up to k slots in a row, from the n-th item on, and how many
// they are.
func (q *Queue) run(n uint64, k int) ([]byte, int) {
	at := int(n % uint64(q.slots))
	k = min(k, q.slots-at)
	return q.slotArea[at*q.stride : (at+k)*q.stride], k
}

// place is where in the arena an item lies.
type place struct{ off, size uint64 }

// placeOf reads the n-th item's, once, and checks it.
func (q *Queue) placeOf(n uint64) (place, error) {
	s := q.slot(n)
	p := place{loadWord((*uint64)(unsafe.Pointer(&s[0]))), loadWord((*uint64)(unsafe.Pointer(&s[8])))}
	if p.off > uint64(len(q.arenaArea)) || p.size > uint64(len(q.arenaArea))-p.off {
		return place{}, fmt.Errorf("%w: an item of %d bytes at %d in %d", ErrCorrupt, p.size, p.off, len(q.arenaArea))
	}
	return p, nil
}

func (q *Queue) setPlace(n uint64, p place) {
	s := q.slot(n)
	*(*uint64)(unsafe.Pointer(&s[0])), *(*uint64)(unsafe.Pointer(&s[8])) = p.off, p.size
}

// Cap returns how many items there is room for.
func (q *Queue) Cap() int { return q.slots }

// Elem returns the size of an element; 0: they differ.
func (q *Queue) Elem() int { return q.elem }

// Len returns how many items there are.
func (q *Queue) Len() int {
	head := q.head.Load()
	return int(min(q.tail.Load()-head, uint64(q.slots)))
}

// count returns how many items lie between head and tail, which a peer may have
// written over.
func (q *Queue) count(tail, head uint64) (int, error) {
	if n := tail - head; n <= uint64(q.slots) {
		return int(n), nil
	}
	return 0, fmt.Errorf("%w: a queue of %d slots with %d items", ErrCorrupt, q.slots, int64(tail-head))
}
