package ring

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
)

// Cell is one value of a fixed size that processes share. Each process makes its own
// over the same memory.
//
// A value of up to 8 bytes is one word. A larger one has a lock and two copies:
//
//	offset  word
//	0       the word; or of a larger value the lock
//	64      seq: how often the value was written; its lowest bit is the copy that counts
//	128     copy 0, padded to a cache line
//	...     copy 1
//
// A writer holds the lock, writes the copy that does not count, then adds one to seq. So
// a writer that dies has changed the value wholly or not at all, and there is nothing to
// mend. A reader takes seq, reads that copy and takes seq again: if it is the same,
// no writer has begun on this copy, because before one does seq moves on. A reader that has
// to begin anew does so just after seq has moved, so it has as long as a writer
// takes for a whole copy.
type Cell struct {
	size int
	word *atomic.Uint64

	lock   *Lock
	seq    *atomic.Uint64
	copies [2][]atomic.Uint64
	buf    []byte // of who holds the lock here: a whole number of words
}

func padded(size, to int) int { return (size + to - 1) / to * to }

// CellSize returns how many bytes a Cell of size bytes takes.
func CellSize(size int) int {
	if size <= 8 {
		return line
	}
	return 2*line + 2*padded(size, line)
}

// NewCell makes a cell of size bytes, at least one, of the first CellSize(size) bytes of
// mem, which begin at a multiple of 8. New memory is all zero, and so is the value.
func NewCell(mem []byte, size int, waits Waits) *Cell {
	if size < 1 || len(mem) < CellSize(size) || !placed(mem) {
		panic(fmt.Sprintf("ring: a cell of %d bytes in %d", size, len(mem)))
	}
	if size <= 8 {
		return &Cell{size: size, word: word64(mem, 0)}
	}
	c := &Cell{size: size, lock: NewLock(mem, waits), seq: word64(mem, line), buf: make([]byte, padded(size, 8))}
	for i := range c.copies {
		at := 2*line + i*padded(size, line)
		c.copies[i] = words(mem[at : at+len(c.buf)])
	}
	return c
}

// SetAlive gives the lock's Alive; call it before use.
func (c *Cell) SetAlive(alive func(pid uint32) bool) {
	if c.lock != nil {
		c.lock.Alive = alive
	}
}

// Sweep says that the process of pid dead is no more, see [Lock.Sweep].
func (c *Cell) Sweep(dead uint32) bool { return c.lock != nil && c.lock.Sweep(dead) }

// Load copies the value to dst, which is as long as it. Any number of goroutines may
// call it, beside all else; it takes no lock. (Edge cell-written: the change of the word, or
// of seq, happens before the Load that sees it.)
func (c *Cell) Load(dst []byte) {
	c.fits(dst)
	if c.word != nil {
		c.split(c.word.Load(), dst)
		return
	}
	for {
		seq := c.seq.Load()
		get(dst, c.copies[seq&1])
		if c.seq.Load() == seq {
			return
		}
		runtime.Gosched()
	}
}

// Store makes src, which is as long as the value, the value. It takes the lock as
// [Lock.Acquire] does, for me, if the value is larger than 8 bytes; smaller ones
// may be changed by any number of goroutines at a time. The same goes for the methods below.
func (c *Cell) Store(ctx context.Context, me uint32, src []byte) error {
	c.fits(src)
	if c.word != nil {
		c.word.Store(c.join(src))
		return nil
	}
	return c.Update(ctx, me, func(buf []byte) { copy(buf, src) })
}

// Swap makes src the value and copies what it was to old.
func (c *Cell) Swap(ctx context.Context, me uint32, src, old []byte) error {
	c.fits(src)
	c.fits(old)
	if c.word != nil {
		c.split(c.word.Swap(c.join(src)), old)
		return nil
	}
	return c.Update(ctx, me, func(buf []byte) {
		was := bytes.Clone(buf) // src and old may be the same bytes
		copy(buf, src)
		copy(old, was)
	})
}

// CompareAndSwap makes src the value if the value is old, byte by byte.
func (c *Cell) CompareAndSwap(ctx context.Context, me uint32, old, src []byte) (swapped bool, err error) {
	c.fits(src)
	c.fits(old)
	if c.word != nil {
		return c.word.CompareAndSwap(c.join(old), c.join(src)), nil
	}
	err = c.UpdateIf(ctx, me, func(buf []byte) bool {
		if swapped = bytes.Equal(buf, old); swapped {
			copy(buf, src)
		}
		return swapped
	})
	return swapped, err
}

// Update lets change alter a copy of the value, which then becomes the value. No other
// change comes between: of a value of up to 8 bytes change is called again if one did;
// of a larger one the lock is held. If change panics the value stays. buf is valid until
// change returns, and nobody else sees it.
func (c *Cell) Update(ctx context.Context, me uint32, change func(buf []byte)) error {
	return c.UpdateIf(ctx, me, func(buf []byte) bool {
		change(buf)
		return true
	})
}

// UpdateIf is Update for who may find that nothing is to be changed: then change returns false, and what it did to buf is forgotten.
func (c *Cell) UpdateIf(ctx context.Context, me uint32, change func(buf []byte) bool) error {
	if c.word != nil {
		buf := make([]byte, c.size)
		for {
			old := c.word.Load()
			c.split(old, buf)
			if !change(buf) || c.word.CompareAndSwap(old, c.join(buf)) {
				return nil
			}
		}
	}
	if _, err := c.lock.Acquire(ctx, me); err != nil {
		return err
	}
	defer c.lock.Release(me)
	seq := c.seq.Load()
	get(c.buf, c.copies[seq&1])
	if change(c.buf[:c.size:c.size]) {
		put(c.copies[(seq+1)&1], c.buf)
		c.seq.Store(seq + 1)
	}
	return nil
}

// fits panics if b is not as long as the value: that is the program's fault.
func (c *Cell) fits(b []byte) {
	if len(b) != c.size {
		panic(fmt.Sprintf("ring: %d bytes for a cell of %d", len(b), c.size))
	}
}

func (c *Cell) join(b []byte) uint64 {
	var w [8]byte
	copy(w[:], b)
	return binary.NativeEndian.Uint64(w[:])
}

func (c *Cell) split(v uint64, b []byte) {
	var w [8]byte
	binary.NativeEndian.PutUint64(w[:], v)
	copy(b, w[:])
}

// get copies words out, put copies them in, each word whole. dst may be shorter than
// the words, by less than one.
func get(dst []byte, from []atomic.Uint64) {
	for i := range from {
		if len(dst) < 8 {
			var w [8]byte
			binary.NativeEndian.PutUint64(w[:], from[i].Load())
			copy(dst, w[:])
			return
		}
		binary.NativeEndian.PutUint64(dst, from[i].Load())
		dst = dst[8:]
	}
}

func put(to []atomic.Uint64, src []byte) {
	for i := range to {
		to[i].Store(binary.NativeEndian.Uint64(src[8*i:]))
	}
}
