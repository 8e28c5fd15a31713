package proc

import (
	"math"
	"time"

	"github.com/xenonmp/xme/internal/wire"
)

// How often the pool looks, while rows wait behind running ones, whether the
// running ones still move: often while a worker idles and could take them, seldom
// while all are busy, for nothing is lost then but the order, and each look takes a
// worker's CPU.
const (
	stallIdle = 100 * time.Microsecond
	stallBusy = 20 * time.Millisecond
)

// stall is the pool's look-out for rows stuck behind a slow one. A timer runs only
// while some row has been sent ahead; rows themselves need no clock.
type stall struct {
	timer *time.Timer
	due   time.Duration // what the timer was armed with; 0: it does not run
}

// armStall sees that the next look is due. p.mu is held.
func (p *Pool) armStall() {
	if len(p.seats) == 1 {
		return // nobody else could run them
	}
	due := stallIdle
	if !p.idles() {
		due = p.patience()
	}
	if p.stall.due != 0 && p.stall.due <= due {
		return
	}
	p.stall.due = due
	if p.stall.timer == nil {
		p.stall.timer = time.AfterFunc(due, p.checkStall)
	} else {
		p.stall.timer.Reset(due)
	}
}

// patience is how long, while all workers are busy, no row can be found to take too
// long: each look wakes the driver, which takes the CPU from a worker. p.mu is held.
func (p *Pool) patience() time.Duration {
	least := time.Duration(math.MaxInt64)
	for _, s := range p.seats {
		if s.w == nil || s.w.flight.Len() < 2 {
			continue
		}
		if fn, ok := s.w.flight.FrontFunc(); ok {
			least = min(least, p.tooLong(fn))
		}
	}
	return min(max(stallBusy, least), time.Second)
}

// tooLong is what a row of a function takes that others are taken back from behind, though no
// worker idles. p.mu is held.
func (p *Pool) tooLong(fn uint16) time.Duration {
	return max(stallBusy, 4*p.mean(fn))
}

// idles reports whether some worker has nothing to do. p.mu is held.
func (p *Pool) idles() bool {
	for _, s := range p.seats {
		if s.w != nil && s.w.ready && s.w.flight.Len() == 0 {
			return true
		}
	}
	return false
}

// laneLook tells what a look at a lane has seen from a call's number.
const laneLook = 1 << 63

// checkStall takes back what waits behind rows that were at the front of their
// worker at the last look too: at once if a worker idles, else only if the row
// takes far longer than its function's rows do.
func (p *Pool) checkStall() {
	b := &batch{p: p}
	now := time.Now()
	p.mu.Lock()
	p.stall.due = 0
	again := false
	idle := p.idles()
	for _, seat := range p.seats {
		w := seat.w
		if w == nil {
			continue
		}
		if w.viaLane && w.flight.Len() > 1 && w.lane != nil {
			if claims := laneLook | uint64(w.lane.Rows.Claims()); w.looked != claims { // it moves; what it has answered is read by whoever waits for it
				w.looked, w.since = claims, now
				again = true
				continue
			}
		}
		p.sync(b, w)
		front := w.flight.Front()
		if front == nil || w.flight.Len() < 2 {
			w.looked = 0
			continue
		}
		if !w.viaLane && w.looked != front.Call() {
			w.looked, w.since = front.Call(), now
			again = true
			continue
		}
		if !idle && now.Sub(w.since) < p.tooLong(front.Func) {
			again = true
			continue
		}
		w.stalled = true
		if w.viaLane {
			p.takeBack(b, w)
			w.looked = 0 // what comes next has not been seen to take long
			continue
		}
		for r := range w.flight.Waiting() {
			if r == front {
				continue // sent, and about to begin
			}
			p.recall(b, r, wire.KindRecall)
		}
	}
	p.settle(b)
	if again {
		p.armStall()
	}
	p.mu.Unlock()
	b.run()
}
