package proc

import (
	"fmt"
	"time"

	"github.com/xenonmp/xme/internal/link"
)

// How often the pool looks at its processes while they run rows; an idle pool
// looks at nothing.
const (
	lookEvery   = time.Second           // whether somebody stopped one
	memoryEvery = 25 * time.Millisecond // what those use that have a bound
)

// lookout is the pool's look at processes that are busy. Guarded by p.mu.
type lookout struct {
	timer   *time.Timer
	runs    bool
	closely bool      // the next look is for memory
	nextAt  time.Time // when to look for stopped processes
}

// MemoryError says that a worker used more memory than it may.
type MemoryError struct {
	Limit int64 // bytes
	Used  int64 // as far as it was seen; below Limit: it was refused more
}

func (e *MemoryError) Error() string {
	if e.Used < e.Limit {
		return fmt.Sprintf("it asked for more than its limit of %d MiB", e.Limit>>20)
	}
	return fmt.Sprintf("it used %d MiB, its limit is %d MiB", (e.Used+1<<20-1)>>20, e.Limit>>20)
}

// StoppedError says that a worker was found stopped while it had rows.
type StoppedError struct{ For time.Duration }

func (e *StoppedError) Error() string {
	return fmt.Sprintf("stopped by someone (state T) for %v", e.For)
}

// limitOf returns what w may use while it runs r, in bytes; 0: no bound.
func (w *worker) limitOf(r *link.Row) int64 {
	if r.Memory > 0 {
		return r.Memory
	}
	return w.p.cfg.Memory
}

// watchOver sees that the next look is due; closely, if a row with a bound begins.
// p.mu is held.
func (p *Pool) watchOver(closely bool) {
	l := &p.lookout
	if p.over || l.runs && (l.closely || !closely) {
		return
	}
	if !l.runs {
		l.runs = true
		l.nextAt = time.Now().Add(lookEvery)
	}
	p.armLookout(closely)
}

func (p *Pool) armLookout(closely bool) {
	l := &p.lookout
	l.closely = closely
	due := max(0, time.Until(l.nextAt))
	if closely {
		due = min(due, memoryEvery)
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(due, p.look)
	} else {
		l.timer.Reset(due)
	}
}

// look looks at every busy process once.
func (p *Pool) look() {
	b := batch{p: p}
	defer b.run()
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &p.lookout
	now := time.Now()
	whether := !now.Before(l.nextAt)
	if whether {
		l.nextAt = now.Add(lookEvery)
	}
	busy, closely := false, false
	for w := range p.all {
		p.sync(&b, w)
		r := w.flight.Front()
		if r == nil || w.proc == nil || w.dead.Load() {
			w.halted = 0
			continue
		}
		busy = true
		if whether && w.viaLane && w.lane != nil && !w.broken {
			w.lane.Wake() // should the word be lost that says that it sleeps, for a row or for room for a result
		}
		if limit := w.limitOf(r); limit > 0 {
			closely = true
			if used, err := w.proc.Memory(); err == nil && r.State() == link.Started && w.sees(used) > limit {
				w.exceeded = &MemoryError{Limit: limit, Used: used} // whichever row it runs when the signal comes
				w.proc.Kill()
				continue
			}
		}
		if whether && p.stopped(w) {
			w.proc.Kill()
		}
	}
	p.settle(&b)
	if l.runs = busy && !p.over; l.runs {
		p.armLookout(closely)
	}
}

// sees notes what w was seen to use and returns it.
func (w *worker) sees(used int64) int64 {
	w.most = max(w.most, used)
	return used
}

// stopped reports whether w was found stopped at two looks in a row. p.mu is held.
func (p *Pool) stopped(w *worker) bool {
	if halted, err := w.proc.Stopped(); err != nil || !halted {
		w.halted = 0
		return false
	}
	w.halted++
	if w.halted < 2 {
		return false
	}
	w.why = &StoppedError{For: lookEvery}
	return true
}

// stopTimers stops the pool's own clocks. p.mu is held.
func (p *Pool) stopTimers() {
	p.lookout.runs = true // not armed any more
	for _, t := range []*time.Timer{p.lookout.timer, p.stall.timer, p.marks.timer, p.sparesIn} {
		if t != nil {
			t.Stop()
		}
	}
}
