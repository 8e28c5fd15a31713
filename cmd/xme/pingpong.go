package main

import (
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/sys"
)

// pingPong calls another process through two words of shared memory: the driver puts a new number into the first, and
// the peer the same into the second.
//
//	line 0  call    driver -> peer
//	line 1  answer  peer -> driver
//
// Between start and stop the peer is about; otherwise it sleeps in a read.
type pingPong struct {
	p            *peer
	call, answer *atomic.Uint32
	n            uint32
	wake         func(*atomic.Uint32)                         // after a word has been changed
	wait         func(*atomic.Uint32, uint32) (uint32, error) // until a word is another than that
}

// lastCall ends a peer's role.
const lastCall = math.MaxUint32

// silence is how long an answer may take before the other process is taken for lost.
const silence = 10 * time.Second

var errSilent = errors.New("the other process does not answer")

func newPingPong(p *peer) *pingPong {
	return &pingPong{p: p, call: word(p.bytes(), 0), answer: word(p.bytes(), 1), wake: func(*atomic.Uint32) {}, wait: await}
}

// start wakes the peer, and returns when it is.
func (g *pingPong) start() error {
	g.n = 0
	g.call.Store(0)
	g.answer.Store(0)
	if err := g.p.do(""); err != nil {
		return err
	}
	return g.trip()
}

// trip is one call.
func (g *pingPong) trip() error {
	g.n++
	return g.tripTo(g.n)
}

func (g *pingPong) tripTo(n uint32) error {
	old := g.answer.Load()
	g.call.Store(n)
	g.wake(g.call)
	got, err := g.wait(g.answer, old)
	if err == nil && got != n {
		err = errors.New("the other process gives a wrong answer")
	}
	return err
}

// perTrip makes calls for a while, and returns the seconds that one took.
func (g *pingPong) perTrip(d time.Duration) (float64, error) {
	if err := g.start(); err != nil {
		return 0, err
	}
	each, err := perCall(d, g.trip)
	if err == nil {
		err = g.stop()
	}
	return each, err
}

func (g *pingPong) stop() error { return g.tripTo(lastCall) }

// answerCalls is the peer's side.
func answerCalls(memory []byte, wake func(*atomic.Uint32), wait func(*atomic.Uint32, uint32) (uint32, error)) error {
	call, answer := word(memory, 0), word(memory, 1)
	for last := uint32(0); last != lastCall; {
		v, err := wait(call, last)
		if err != nil {
			return err
		}
		answer.Store(v)
		wake(answer)
		last = v
	}
	return nil
}

// await spins until the word is another than old, and returns it.
func await(w *atomic.Uint32, old uint32) (uint32, error) {
	if v, ok := spin(w, old); ok {
		return v, nil
	}
	for late := time.Now().Add(silence); ; {
		sys.Yield() // whoever changes it may need this CPU
		if v, ok := spin(w, old); ok {
			return v, nil
		}
		if time.Now().After(late) {
			return 0, errSilent
		}
	}
}

// spin looks at the word for a few microseconds.
func spin(w *atomic.Uint32, old uint32) (uint32, bool) {
	for range 1 << 12 {
		if v := w.Load(); v != old {
			return v, true
		}
	}
	return old, false
}
