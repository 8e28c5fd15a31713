package ring

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Cell is one value of up to a fixed size in memory that processes share. Up to 8 bytes
// are one word. A larger value has two copies, of which a sequence number says which is
// valid (the seqcount_latch of Linux): who writes has a lock, writes the other copy and
// then counts up, so that one who dies while writing has written nothing; who reads takes
// no lock and reads again if the number has changed meanwhile.
//
//	offset  word
//	0       the value, up to 8 bytes; or
//	0       lock
//	64      sequence number; its lowest bit says which copy is valid
//	128     two copies, each rounded up to 64 bytes
//
// Edge cell-written: Store's count of the sequence (or store of the word), to Load's load
// of it.
type Cell struct {
	size   int
	word   *atomic.Uint64 // of a small one
	lock   Lock
	seq    *atomic.Uint64
	copies [2][]atomic.Uint64
}

const (
	cellWord = 8
	cellSeq  = 64
	cellData = 128
)

// CellSize returns how many bytes a cell takes for a value of size.
func CellSize(size int) int {
	if size <= cellWord {
		return cellWord
	}
	return cellData + 2*roundUp(size, 64)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// NewCell lays a cell over memory of CellSize, which is zero when it is new.
func NewCell(mem []byte, size int, env *Env) (*Cell, error) {
	if size < 0 || len(mem) < CellSize(size) || uintptr(unsafe.Pointer(unsafe.SliceData(mem)))%8 != 0 {
		return nil, fmt.Errorf("%w: a cell of %d bytes in %d", ErrCorrupt, size, len(mem))
	}
	c := &Cell{size: size}
	if size <= cellWord {
		c.word = (*atomic.Uint64)(unsafe.Pointer(&mem[0]))
		return c, nil
	}
	c.lock = NewLock((*atomic.Uint32)(unsafe.Pointer(&mem[0])), env, nil)
	c.seq = (*atomic.Uint64)(unsafe.Pointer(&mem[cellSeq]))
	each := roundUp(size, 64)
	for i := range c.copies {
		c.copies[i] = unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&mem[cellData+i*each])), each/8)
	}
	return c, nil
}

// Word returns the word that a value of up to 8 bytes is, nil for larger ones.
func (c *Cell) Word() *atomic.Uint64 { return c.word }

// Load copies the value to dst, which has its size.
func (c *Cell) Load(dst []byte) {
	if c.word != nil {
		w := c.word.Load()
		copy(dst, (*[cellWord]byte)(unsafe.Pointer(&w))[:c.size])
		return
	}
	for tries := 1; ; tries++ {
		s := c.seq.Load()
		words := c.copies[s&1]
		for at := 0; at < c.size; at += 8 {
			w := words[at/8].Load()
			copy(dst[at:c.size], (*[8]byte)(unsafe.Pointer(&w))[:])
		}
		if c.seq.Load() == s {
			return
		}
		if tries%16 == 0 {
			runtime.Gosched()
		}
	}
}

// Store replaces a value. It waits for others that write, until ctx ends.
func (c *Cell) Store(ctx context.Context, me uint32, src []byte) error {
	if c.word != nil {
		var w uint64
		copy((*[cellWord]byte)(unsafe.Pointer(&w))[:], src[:c.size])
		c.word.Store(w)
		return nil
	}
	return c.update(ctx, me, func(buf []byte) { copy(buf, src) }, false)
}

// Update has f change a copy of the value, which then takes its place; nobody else writes
// meanwhile. A word is changed by compare-and-swap, and f called again if another was
// quicker. f must not panic.
func (c *Cell) Update(ctx context.Context, me uint32, f func(buf []byte)) error {
	if c.word == nil {
		return c.update(ctx, me, f, true)
	}
	for {
		old := c.word.Load()
		w := old
		f((*[cellWord]byte)(unsafe.Pointer(&w))[:c.size])
		if c.word.CompareAndSwap(old, w) {
			return nil
		}
	}
}

func (c *Cell) update(ctx context.Context, me uint32, f func(buf []byte), read bool) error {
	if _, err := c.lock.Acquire(ctx, me); err != nil { // who died has changed nothing that is valid
		return err
	}
	defer c.lock.Release(me)
	buf := make([]byte, roundUp(c.size, 8))
	if read {
		c.Load(buf[:c.size])
	}
	f(buf[:c.size])
	s := c.seq.Load()
	words := c.copies[s&1^1]
	for at := 0; at < len(buf); at += 8 {
		words[at/8].Store(*(*uint64)(unsafe.Pointer(&buf[at])))
	}
	c.seq.Store(s + 1)
	return nil
}

// Sweep frees what a dead process holds.
func (c *Cell) Sweep(dead uint32) {
	if c.word == nil {
		c.lock.Sweep(dead)
	}
}
