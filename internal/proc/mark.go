package proc

import (
	"time"

	"github.com/xenonmp/xme/internal/link"
)

// A worker tells how long a row took, but not every row's own time: short rows are
// measured together, so that a long one among them goes unseen; a lane's record holds no
// more than four seconds; and who dies tells nothing. For these the driver looks,
// while rows are under way, at what each worker runs, and remembers since when. A
// row that no two looks saw took less than two looks are apart.
//
// What a worker runs is the first of its rows whose end has not been read. A lane is read
// only where two looks find the same claim in it: rows that fly by pay nothing.

// markEvery is how often it looks, together with the look for rows that are stuck, so that
// the driver is woken once for both; less often while it sees nothing new.
const (
	markEvery  = stallBusy
	markSeldom = time.Second
)

// marks is the pool's look. Guarded by its lock.
type marks struct {
	timer *time.Timer
	every time.Duration // until the next look; 0: there is none
}

// mark is what looks saw a worker run.
type mark struct {
	call        uint64 // the row's number on its link; 0: none, or not known yet
	claims      uint32 // what its lane said
	since, seen time.Time
}

// armMarks sees that the next look is soon. p.mu is held.
func (p *Pool) armMarks() {
	m := &p.marks
	if m.every == markEvery || p.over {
		return
	}
	m.every = markEvery
	if m.timer == nil {
		m.timer = time.AfterFunc(m.every, p.lookAtRows)
	} else {
		m.timer.Reset(m.every)
	}
}

// lookAtRows looks at every process once.
func (p *Pool) lookAtRows() {
	b := batch{p: p}
	defer b.run()
	p.mu.Lock()
	defer p.mu.Unlock()
	m, now := &p.marks, time.Now()
	busy, moved, read := false, false, false
	for w := range p.all {
		r := w.flight.Front()
		claims, inLane := uint32(0), r != nil && w.viaLane && w.lane != nil
		if inLane {
			claims = w.lane.Rows.Claims()
			if w.mark.call == 0 && (w.mark.since.IsZero() || w.mark.claims != claims) {
				w.mark = mark{claims: claims, since: now, seen: now} // which row that is, the next look finds out if need be
				busy, moved = true, true
				continue
			}
		}
		if inLane || r != nil && w.mark.call == r.Call() && r.Quiet {
			p.sync(&b, w) // it may have ended, unread
			r, read = w.flight.Front(), true
		}
		if r == nil {
			continue
		}
		busy = true
		switch {
		case inLane && w.viaLane && w.mark.call == 0 && w.lane != nil && w.mark.claims == w.lane.Rows.Claims() && r.State() == link.Started:
			w.mark.call, w.mark.seen = r.Call(), now
		case w.mark.call == r.Call() && r.State() == link.Started:
			w.mark.seen = now
		case !w.viaLane && !r.Quiet && r.State() != link.Started:
			moved = true // it has not begun
		default:
			w.mark = mark{call: r.Call(), claims: claims, since: now, seen: now}
			moved = true
		}
	}
	if read {
		p.settle(&b)
	}
	switch {
	case !busy || p.over:
		m.every = 0
		return
	case moved:
		m.every = markEvery
	default:
		m.every = min(2*m.every, markSeldom)
	}
	m.timer.Reset(m.every)
}

// marked returns what the run took that w was seen to run, and that has ended: what it
// says itself, unless it was seen for longer. p.mu is held.
func (p *Pool) marked(w *worker, said time.Duration) time.Duration {
	m := w.mark
	w.mark = mark{}
	p.armMarks() // what comes behind it begins now
	if said > 0 && said >= m.seen.Sub(m.since) {
		return said
	}
	return time.Since(m.since)
}
