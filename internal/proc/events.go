package proc

import (
	"fmt"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

// What workers say, and what follows from it.

// event applies a frame that w sent. An error means that the link is broken. p.mu
// is held.
func (p *Pool) event(b *batch, w *worker, f link.Frame, owned bool) error {
	switch f.Kind {
	case wire.KindStart, wire.KindRecalled, wire.KindUnmap, wire.KindUnnest, wire.KindLend, wire.KindReclaim:
		f.Parcel.Close() // these bring no files
	default:
	}
	switch f.Kind {
	case wire.KindNest, wire.KindUnnest, wire.KindLend, wire.KindReclaim:
		return p.nestEvent(b, w, f, owned)
	case wire.KindUnmap:
		return w.unmapResult(f.Call)
	case wire.KindHold, wire.KindUnhold, wire.KindReserve:
		return p.shareEvent(b, w, f)
	default:
	}
	if w.viaLane && w.flight.Len() > 0 {
		switch f.Kind {
		case wire.KindResult, wire.KindFail, wire.KindResultIn:
			return p.endElsewhere(b, w, f)
		default:
		}
		f.Parcel.Close()
		return fmt.Errorf("%v frame for a row in the lane", f.Kind)
	}
	r, err := w.flight.Event(f)
	if err != nil {
		f.Parcel.Close()
		return err
	}
	switch f.Kind {
	case wire.KindStart:
		if p.starved {
			p.starved = false
			p.settle(b) // its files may have been what others wait for
		}
		w.begun(r)
		if r.Late != nil {
			p.cancel(b, r, r.Late)
		}
	case wire.KindResult, wire.KindFail:
		p.answered(b, w, r, f)
		p.refill(b, w)
	case wire.KindRecalled:
		p.recalled(b, w, r)
	default:
	}
	return nil
}

// begun starts the clock of a row that has begun. p.mu is held.
func (w *worker) begun(r *link.Row) {
	switch {
	case r.Cancelled != nil: // the cancel was under way when it began
		w.armGrace(r)
	case r.Timeout > 0:
		w.armTimeout(r)
	}
}

// answered takes the end of a row as its worker tells it. p.mu is held.
func (p *Pool) answered(b *batch, w *worker, r *link.Row, f link.Frame) {
	in := b.in
	b.in = nil // what follows may apply other ends
	if r.Memory > 0 {
		_ = w.proc.Limit(p.cfg.Memory) // no bound of the row's own any more; before others are sent, which may have one
	}
	p.heard(b, w, r, 1, f.Time)
	o := link.Outcome{Body: f.Body, Parcel: f.Parcel, Rank: w.rank, PID: w.pid, Shared: in != nil}
	if f.Kind == wire.KindFail {
		o.Body, o.Err = nil, &RowError{Body: f.Body}
	} else if r.Cancelled == ErrTimeout { //nolint:errorlint // identity is meant: it may be a user's, whose methods must not run here
		f.Parcel.Close() // it came, but too late
		o = link.Outcome{Err: r.Cancelled, Rank: w.rank, PID: w.pid}
	}
	if r == w.setup {
		b.ends = append(b.ends, ending{row: r, o: o, setup: true})
		return
	}
	p.ran(w, r, 0, 1, f.Time, o.Err != nil)
	p.end(b, r, o)
	b.ends[len(b.ends)-1].in = in
}

// heard notes that r, or n rows of a piece, which ran for that many ns each, have ended on w. p.mu is held.
func (p *Pool) heard(b *batch, w *worker, r *link.Row, n int, ns uint64) {
	if w.clock != nil || w.clocks {
		w.unclock(r)
	}
	for range min(n, enough) {
		p.learn(r.Func, ns)
	}
	w.stalled = false
	w.ahead -= min(w.ahead, uint64(n)*uint64(r.Charge))
	if w.flight.Len() == 0 {
		w.ahead, w.alone = 0, false
	}
	if s := w.seat; s != nil && r != w.setup {
		s.done += uint64(n)
		s.young = 0
	}
	w.worn = w.worn || r.Fresh || r.Service
	if w.lent || len(w.children) > 0 {
		p.abandon(b, w) // last: it may hand out rows
	}
}

// refill hands w more rows after some have ended, or lets it go. p.mu is held.
func (p *Pool) refill(b *batch, w *worker) {
	if w.stale = w.paused > 0; w.stale || w.setup != nil {
		return
	}
	switch {
	case w.flight.Len() > 0 || w.leaving || w.ending:
	case w.worn, p.cfg.Recycle > 0 && w.rows >= p.cfg.Recycle, w.seat == nil && !p.wantsExtra():
		p.retire(b, w)
	}
	if p.live == 0 && p.closing == 0 && w.seat != nil {
		return // nobody has rows
	}
	if p.busyElsewhere() || w.seat == nil || p.closing > 0 {
		p.settle(b)
		return
	}
	p.feed(b, w.seat, p.share())
	if w.flight.Len() == 0 {
		p.steal(b, w)
	}
	if w.flight.Len() == 0 && p.stall.due > stallIdle {
		p.armStall() // it idles, and somebody may have rows for it
	}
}

// recalled takes a row back that its worker has not begun. p.mu is held.
func (p *Pool) recalled(b *batch, w *worker, r *link.Row) {
	p.givenBack(b, w, r)
	p.settle(b)
}

// givenBack has a row that its worker has not begun wait again, or end. p.mu is held.
func (p *Pool) givenBack(b *batch, w *worker, r *link.Row) {
	w.rows--
	w.ahead -= min(w.ahead, uint64(r.Charge))
	if r.Memory > 0 {
		_ = w.proc.Limit(w.p.cfg.Memory) // the bound was set as it was sent
	}
	why := r.Cancelled
	switch {
	case why != nil:
	case r.Unbegun != nil:
		why = r.Unbegun
	case p.over:
		why = ErrClosed
	}
	if why != nil {
		p.end(b, r, link.Outcome{Err: why, Rank: w.rank, PID: w.pid})
	} else {
		p.stats.TakenBack++
		p.enqueue(b, r)
	}
}

// enough is how many rows that take the same make a function's mean that, nearly.
const enough = 32

// learn updates a function's running mean: a weighted mean that forgets, so that
// it follows rows whose length drifts.
func (p *Pool) learn(fn uint16, ns uint64) {
	if int(fn) >= len(p.means) || ns == 0 {
		return
	}
	m := &p.means[fn]
	mean := m.Load()
	if mean == 0 {
		m.Store(ns)
		return
	}
	if next := max(1, mean-mean/8+ns/8); next != mean {
		m.Store(next)
	}
}
