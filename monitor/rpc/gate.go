package rpc

import "sync/atomic"

// gate counts what is under way, until it is closed and all that went in has left.
type gate struct {
	n     atomic.Int64
	empty chan struct{} // closed then
}

// gateClosed is far above what can be under way.
const gateClosed = 1 << 40

func newGate() *gate { return &gate{empty: make(chan struct{})} }

// enter reports whether the gate is open. Then leave follows.
func (g *gate) enter() bool {
	if g.n.Add(1) < gateClosed {
		return true
	}
	g.leave()
	return false
}

// hold is enter for who is inside already.
func (g *gate) hold() { g.n.Add(1) }

func (g *gate) leave() {
	if g.n.Add(-1) == gateClosed {
		g.done()
	}
}

// shut closes the gate, once.
func (g *gate) shut() {
	if g.n.Add(gateClosed) == gateClosed {
		g.done()
	}
}

// done is reached again by who comes to the closed gate and leaves at once.
func (g *gate) done() {
	if g.n.CompareAndSwap(gateClosed, 2*gateClosed) {
		close(g.empty)
	}
}

func (g *gate) closed() bool { return g.n.Load() >= gateClosed }
