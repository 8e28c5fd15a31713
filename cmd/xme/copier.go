package main

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// copier is the least that an argument costs which the other process shall own: it is copied into a slot of shared
// memory, and there into new memory.
//
//	line 0   filled: slots filled since the start            driver -> peer
//	line 1   emptied: slots whose copies and results exist   peer -> driver
//	line 2…  a result for each slot                          peer -> driver
//	then the slots
type copier struct {
	p               *peer
	slots, size     int
	memory          []byte
	filled, emptied *atomic.Uint32
	at              uint32 // slots filled
	seen            uint32 // slots known to be empty again
	read            uint32 // results read
}

func copyBytes(slots, size int) int { return (2+slots)*line + slots*size }

func newCopier(p *peer, slots, size int) *copier {
	b := p.bytes()
	return &copier{p: p, slots: slots, size: size, memory: b, filled: word(b, 0), emptied: word(b, 1)}
}

func (c *copier) slot(n uint32) []byte {
	i := int(n) % c.slots
	return c.memory[(2+c.slots)*line+i*c.size:][:c.size]
}

func (c *copier) result(n uint32) *atomic.Uint32 { return word(c.memory, 2+int(n)%c.slots) }

func (c *copier) start() error {
	c.at, c.seen, c.read = 0, 0, 0
	c.filled.Store(0)
	c.emptied.Store(0)
	return c.p.do(strconv.Itoa(c.slots) + " " + strconv.Itoa(c.size))
}

func (c *copier) stop() error {
	c.filled.Store(lastCall)
	for v := c.seen; v != lastCall; {
		var err error
		if v, err = await(c.emptied, v); err != nil {
			return err
		}
	}
	return nil
}

// push fills the next slot; one is empty and its result has been read.
func (c *copier) push(b []byte) {
	copy(c.slot(c.at), b)
	c.at++
	c.filled.Store(c.at)
}

// pull waits for the next result.
func (c *copier) pull(want int) error {
	for c.seen == c.read {
		var err error
		if c.seen, err = await(c.emptied, c.seen); err != nil {
			return err
		}
	}
	got := c.result(c.read).Load()
	c.read++
	if got != uint32(want) {
		return fmt.Errorf("slot %d gave %d, not %d", c.read-1, got, want)
	}
	return nil
}

// rate returns how many bytes a second get across when the slots are kept full.
func (c *copier) rate(args [][]byte, d time.Duration) (float64, error) {
	if err := c.start(); err != nil {
		return 0, err
	}
	begun, pushed, pulled := time.Now(), 0, 0
	for full := false; !full || pulled < pushed; pulled++ {
		for !full && pushed-pulled < c.slots {
			c.push(args[pushed%len(args)])
			pushed++
			full = time.Since(begun) >= d
		}
		if err := c.pull(touched(args[pulled%len(args)])); err != nil {
			return 0, err
		}
	}
	rate := float64(pulled*c.size) / time.Since(begun).Seconds()
	return rate, c.stop()
}

// serveCopies is the peer's side.
func serveCopies(memory []byte, line string) error {
	c := copier{memory: memory, filled: word(memory, 0), emptied: word(memory, 1)}
	if _, err := fmt.Sscan(line, &c.slots, &c.size); err != nil {
		return err
	}
	for {
		var err error
		if c.seen, err = await(c.filled, c.seen); err != nil {
			return err
		}
		if c.seen == lastCall {
			c.emptied.Store(lastCall)
			return nil
		}
		for ; c.at != c.seen; c.at++ {
			src := c.slot(c.at)
			b := make([]byte, len(src)) // with the copy behind it, it is not zeroed first
			copy(b, src)
			c.result(c.at).Store(uint32(touch(b)))
			c.emptied.Store(c.at + 1)
		}
	}
}
