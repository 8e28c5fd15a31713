package proc

import (
	"fmt"
	"time"

	"github.com/xenonmp/xme/internal/link"
)

// The ladder of a row that shall end: its context ends; after Grace its process
// is asked for a dump of its goroutines; after dumpTime the process is killed. Its
// clock is the driver's.

// dumpTime is what a process has to write its dump in.
const dumpTime = 500 * time.Millisecond

// armTimeout ends the running row r when its time is up. p.mu is held.
func (w *worker) armTimeout(r *link.Row) {
	w.after(r, r.Timeout, func(b *batch) { w.p.cancel(b, r, ErrTimeout) })
}

// armGrace starts the ladder for the running row r, whose context has ended. p.mu
// is held.
func (w *worker) armGrace(r *link.Row) {
	proc := w.proc
	w.after(r, w.p.cfg.Grace, func(*batch) {
		w.worn = w.worn || !w.p.cfg.Kind.Mortal // a row that were sent to it now would die of that; a rank that has no other process gets none
		proc.Quit()
		w.after(r, dumpTime, func(*batch) { proc.Kill() })
	})
}

// armAnswer gives the process the grace period to answer for a row that was
// cancelled before it began: to give it back or begin it. One that does not read
// its link, because it is stopped, say, is killed; the row that it runs learns why.
// p.mu is held.
func (w *worker) armAnswer(r *link.Row) {
	proc := w.proc
	patience := w.p.cfg.Grace + dumpTime
	call := r.Call() // another row in its place has another number
	time.AfterFunc(patience, func() {
		w.p.mu.Lock()
		deaf := w.proc == proc && r.Flight() == &w.flight && r.Call() == call && r.State() == link.Sent
		if deaf && w.why == nil {
			w.why = fmt.Errorf("it did not answer for %v that a row behind this one was cancelled", patience)
			if halted, err := proc.Stopped(); err == nil && halted {
				w.why = &StoppedError{For: patience}
			}
		}
		w.p.mu.Unlock()
		if deaf {
			proc.Kill()
		}
	})
}

// after calls f, with p.mu held, after d if r still runs then. It replaces the
// clock that ran. What f strikes is r alone: in a lane nothing is sent behind a row whose
// clock runs, and what was is taken back when it is cancelled. p.mu is held.
func (w *worker) after(r *link.Row, d time.Duration, f func(*batch)) {
	call := r.Call() // another attempt at r has another number
	w.clocks = w.clocks || w.clock != nil && w.clocked != call
	w.disarm()
	w.clocked = call
	w.clock = time.AfterFunc(d, func() {
		b := batch{p: w.p}
		w.p.mu.Lock()
		if r.Flight() == &w.flight && r.Call() == call {
			w.p.sync(&b, w) // it may have ended
			w.p.settle(&b)
		}
		switch {
		case r.Flight() == &w.flight && r.Call() == call:
			f(&b)
		case w.clock != nil && w.clocked == call:
			w.clock = nil // nobody's any more
		}
		w.p.mu.Unlock()
		b.run()
	})
}

// unclock stops the clock of r, which has ended. In a lane several rows may have been claimed, behind one whose end is on the link, and been cancelled: the one in front
// that has no clock, since another's took its place, gets one. p.mu is held.
func (w *worker) unclock(r *link.Row) {
	if w.clock != nil && w.clocked == r.Call() {
		w.disarm()
	}
	if w.flight.Piece() != nil {
		return // none of a piece's rows is cancelled
	}
	next := w.flight.Front()
	if next == nil {
		w.clocks = false
	} else if w.clock == nil && w.viaLane && next.Cancelled != nil {
		w.armGrace(next)
	}
}

// disarm stops the running row's clock. p.mu is held.
func (w *worker) disarm() {
	if w.clock != nil {
		w.clock.Stop()
		w.clock = nil
	}
}
