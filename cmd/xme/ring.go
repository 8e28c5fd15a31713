package main

import (
	"fmt"
	"sync/atomic"
	"time"
)

// ring is the least that a link can be: rows go to the other process in place, and their results come back so.
//
//	line 0   published: rows written since the start   driver -> peer
//	line 1   done: rows whose results are there        peer -> driver
//	line 2…  slots, used again and again
//
// The store to published comes after the rows and is loaded before they are read; done likewise, the other way.
type ring struct {
	p               *peer
	published, done *atomic.Uint32
	slots           []slot
	at              uint32 // rows published
	seen            uint32 // rows known to be done
	read            uint32 // results read
}

const (
	ringRows  = 1024
	ringBatch = 64
	ringBytes = (2 + ringRows) * line
)

func newRing(p *peer) *ring {
	b := p.bytes()[:ringBytes]
	return &ring{p: p, published: word(b, 0), done: word(b, 1), slots: slots(b[2*line:])}
}

func (r *ring) start() error {
	r.at, r.seen, r.read = 0, 0, 0
	r.published.Store(0)
	r.done.Store(0)
	return r.p.do("")
}

func (r *ring) stop() error {
	r.published.Store(lastCall)
	for v := r.seen; v != lastCall; {
		var err error
		if v, err = await(r.done, v); err != nil {
			return err
		}
	}
	return nil
}

// push publishes a batch of rows that count from n; there is room.
func (r *ring) push(n uint64) {
	s := r.slots[r.at%ringRows:][:ringBatch]
	for i := range s {
		s[i].v = n + uint64(i)
	}
	r.at += ringBatch
	r.published.Store(r.at)
}

// pull waits for the results of the next batch, which counted from n.
func (r *ring) pull(n uint64) error {
	for r.seen-r.read < ringBatch {
		var err error
		if r.seen, err = await(r.done, r.seen); err != nil {
			return err
		}
	}
	for i, s := range r.slots[r.read%ringRows:][:ringBatch] {
		if s.v != n+uint64(i)+1 {
			return fmt.Errorf("row %d gave %d", n+uint64(i), s.v)
		}
	}
	r.read += ringBatch
	return nil
}

// ringRate returns how many rows a second the rings run, batch by batch to each in turn.
func ringRate(rings []*ring, d time.Duration) (float64, error) {
	for _, r := range rings {
		if err := r.start(); err != nil {
			return 0, err
		}
	}
	begun := time.Now()
	depth := len(rings) * ringRows / ringBatch
	full, pushed, pulled := false, 0, 0
	for ; !full || pulled < pushed; pulled++ {
		for !full && pushed-pulled < depth {
			rings[pushed%len(rings)].push(uint64(pushed * ringBatch))
			pushed++
			full = pushed%64 == 0 && time.Since(begun) >= d
		}
		if err := rings[pulled%len(rings)].pull(uint64(pulled * ringBatch)); err != nil {
			return 0, err
		}
	}
	rate := float64(pulled*ringBatch) / time.Since(begun).Seconds()
	for _, r := range rings {
		if err := r.stop(); err != nil {
			return 0, err
		}
	}
	return rate, nil
}

// serveRing is the peer's side.
func serveRing(memory []byte) error {
	r := ring{published: word(memory, 0), done: word(memory, 1), slots: slots(memory[2*line : ringBytes])}
	for {
		var err error
		if r.seen, err = await(r.published, r.seen); err != nil {
			return err
		}
		if r.seen == lastCall {
			r.done.Store(lastCall)
			return nil
		}
		for r.at != r.seen {
			s := r.slots[r.at%ringRows:][:ringBatch]
			for i := range s {
				s[i].v++
			}
			r.at += ringBatch
			r.done.Store(r.at)
		}
	}
}
