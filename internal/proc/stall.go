package proc

import (
	"time"

	"github.com/xenonmp/xme/internal/wire"
)

// stallCheck is how often the pool looks, while rows wait behind running ones,
// whether the running ones still move.
const stallCheck = 500 * time.Microsecond

// stall is the pool's look-out for rows stuck behind a slow one. A timer runs
// only while some row has been sent ahead; rows themselves need no clock.
type stall struct {
	timer *time.Timer
	armed bool
}

// armStall starts the timer if it does not run. p.mu is held.
func (p *Pool) armStall() {
	if p.stall.armed || len(p.workers) == 1 {
		return
	}
	p.stall.armed = true
	if p.stall.timer == nil {
		p.stall.timer = time.AfterFunc(stallCheck, p.checkStall)
	} else {
		p.stall.timer.Reset(stallCheck)
	}
}

func (p *Pool) stopStall() {
	if p.stall.timer != nil {
		p.stall.timer.Stop()
	}
}

// checkStall takes back what waits behind rows that were at the front of their
// worker at the last look too.
func (p *Pool) checkStall() {
	var b batch
	p.mu.Lock()
	p.stall.armed = false
	again := false
	for _, w := range p.workers {
		front := w.flight.Front()
		if front == nil || w.flight.Len() < 2 {
			w.looked = 0
			continue
		}
		if w.looked != front.Call() {
			w.looked = front.Call()
			again = true
			continue
		}
		w.stalled = true
		for r := range w.flight.Waiting() {
			if r == front {
				continue // sent, and about to begin
			}
			if f, ok := w.flight.Recall(r, wire.KindRecall); ok {
				w.conn.Send(f)
				b.flush(w.conn)
			}
		}
	}
	if again {
		p.armStall()
	}
	p.mu.Unlock()
	b.run()
}
