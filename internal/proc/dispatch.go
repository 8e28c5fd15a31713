package proc

import (
	"math"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// How far rows are sent ahead of the one a worker runs. Rows long enough for the
// round trip not to matter are handed out one by one, strictly top to bottom;
// short ones travel together, as much as they add up to aheadWork.
const (
	aheadWork = uint64(200 * time.Microsecond)
	// aheadBulk is aheadWork for rows of many in a lane, from where they can be taken back
	// at once: enough of them for the driver to be woken once for several.
	aheadBulk = uint64(16 * time.Millisecond)
	// leastWork is work that lasts until the driver is awake for more, if it gets a CPU.
	leastWork  = uint64(4 * wakeTime)
	aheadBytes = 256 << 10
	aheadRows  = 256
	aheadFiles = 64
	// aloneMean is the mean from which a function's rows are not sent ahead.
	aloneMean = uint64(20 * time.Millisecond)
)

// settle hands waiting rows to workers with room until there are none of the one
// or the other. p.mu is held.
func (p *Pool) settle(b *batch) {
	if p.over {
		return
	}
	for _, w := range p.laned {
		if w.stale {
			p.refill(b, w)
		}
	}
	if p.closing > 0 {
		p.retireSpent(b)
	}
	p.settleNested(b)
	for _, w := range p.extras {
		if r := w.pending; r != nil && w.ready {
			w.pending, r.Where = nil, nil
			p.send(b, w, r)
		}
	}
	// Idle workers first, one row each, so that few rows spread over many workers.
	for _, s := range p.seats {
		if w := s.w; w != nil && w.ready && w.flight.Len() == 0 {
			p.feed(b, s, 1)
		}
	}
	if p.any.len == 0 && len(p.sets) == 0 {
		return // rows for one rank travel alone: they have been looked at
	}
	for _, s := range p.seats {
		if s.w != nil && s.w.ready {
			p.feed(b, s, p.share())
		}
	}
}

// share is how many rows one worker may be handed at once: its part of what waits.
func (p *Pool) share() int { return p.any.len/len(p.seats) + 1 }

// feed hands the worker of a seat up to n rows, in order, as far as it has room.
// p.mu is held.
func (p *Pool) feed(b *batch, s *seat, n int) {
	w := s.w
	defer func() { p.sentTo(b, w) }()
	for n > 0 && w != nil && w == s.w {
		r := p.next(s)
		if r == nil || !p.fits(w, r) {
			return
		}
		if r.Pack != nil {
			if k := p.putPiece(w, r, n); k > 0 {
				n -= k
				continue
			}
			r = r.Where.(*queue).takeFirst(r)
		}
		if w.usedUpFor(r) {
			// The row gets this seat, and the seat another process.
			p.unqueue(r)
			p.reserve(s, r)
			p.retire(b, w)
			w = s.w // a spare, it may be
			continue
		}
		p.unqueue(r)
		switch p.put(b, w, r) {
		case sent:
			n--
		case waits:
			return
		case refused:
		}
	}
}

// usedUpFor reports whether r needs a process that ran nothing, and w did. p.mu is
// held.
func (w *worker) usedUpFor(r *link.Row) bool {
	return w.rows > 0 && (r.Fresh || r.Memory > 0 && w.proc.Grown(r.Memory))
}

// reserve has a row wait for one seat. p.mu is held.
func (p *Pool) reserve(s *seat, r *link.Row) {
	if r.Nest != nil && len(r.On) > 0 {
		p.pinned++
	}
	s.own.put(r)
}

// next returns the earliest waiting row that may run on a seat.
func (p *Pool) next(s *seat) *link.Row {
	if s.closing {
		return p.nextOfClosing(s)
	}
	r := p.any.head
	if o := s.own.head; o != nil && (r == nil || before(o, r)) {
		r = o
	}
	for _, set := range s.sets {
		if o := set.head; o != nil && (r == nil || before(o, r)) {
			r = o
		}
	}
	return r
}

// before reports whether a is to run before b: calls that tasks made go first.
func before(a, b *link.Row) bool {
	if (a.Nest != nil) != (b.Nest != nil) {
		return a.Nest != nil
	}
	return a.Seq < b.Seq
}

// fits reports whether r may be sent to w now.
func (p *Pool) fits(w *worker, r *link.Row) bool {
	if !w.ready || w.worn || w.lent || w.broken || w.paused > 0 {
		return false
	}
	if p.cfg.Recycle > 0 && w.rows >= p.cfg.Recycle {
		return false
	}
	if w.flight.Len() == 0 {
		return p.slot()
	}
	mean := uint64(p.mean(r.Func))
	if r.Alone || w.alone || w.stalled || w.clock != nil || mean == 0 || mean > aloneMean {
		return false
	}
	if w.viaLane != p.byLane(w, r) {
		return false // one way at a time
	}
	if w.viaLane {
		work := aheadWork
		if r.Bulk {
			work = aheadBulk
		}
		return w.roomInLane(r) && (w.flight.Len() < 2 || w.ahead+mean <= work)
	}
	if w.flight.Bytes()+len(r.Body) > aheadBytes || w.flight.Len() >= aheadRows || w.flight.Files()+r.Files() > aheadFiles {
		return false
	}
	return w.flight.Len() < 2 || w.ahead+mean <= aheadWork
}

// sending is what became of a row that was to be sent.
type sending int

const (
	sent    sending = iota
	refused         // it has ended with an error
	waits           // it is queued again, until others free descriptors
)

// send is put, for one row. p.mu is held.
func (p *Pool) send(b *batch, w *worker, r *link.Row) sending {
	became := p.put(b, w, r)
	p.sentTo(b, w)
	return became
}

// sentTo does what follows after rows were put. p.mu is held.
func (p *Pool) sentTo(b *batch, w *worker) {
	if w == nil || w.flight.Len() == 0 {
		return
	}
	p.publish(b, w)
	p.armMarks()
	if w.flight.Len() > 1 {
		p.armStall()
	}
	p.watchOver(w.bound > 0)
}

// put puts r, which is in no queue, on w's link or in its lane, where sentTo must
// follow. p.mu is held.
func (p *Pool) put(b *batch, w *worker, r *link.Row) sending {
	if err := p.showShared(b, w, &r.Regions); err != nil {
		if sys.TooManyFiles(err) && p.filesUnderWay() {
			return p.starve(b, w, r)
		}
		p.end(b, r, link.Outcome{Err: err, Rank: w.rank, PID: w.pid})
		return refused
	}
	if w.flight.Len() == 0 {
		p.openLane(b, w, r)
		w.viaLane = w.inLane(r) && p.show(b, w, r)
	}
	if w.viaLane {
		if !p.show(b, w, r) {
			p.enqueue(b, r)
			return waits
		}
		if r.Memory > 0 {
			if err := w.proc.Limit(r.Memory); err != nil {
				p.end(b, r, link.Outcome{Err: err, Rank: w.rank, PID: w.pid})
				return refused
			}
		}
		w.count(p, r)
		p.putInLane(w, r)
		return sent
	}
	parcel, err := r.Parcel.Clone()
	switch {
	case err == nil && parcel != nil && !w.conn.CarriesFiles():
		err = errNoFiles
	case err == nil && r.Memory > 0:
		err = w.proc.Limit(r.Memory)
	case err != nil && sys.TooManyFiles(err) && p.filesUnderWay():
		return p.starve(b, w, r)
	}
	if err != nil {
		parcel.Close()
		p.end(b, r, link.Outcome{Err: err, Rank: w.rank, PID: w.pid})
		return refused
	}
	w.openBegun(r)
	w.count(p, r)
	w.bound = w.limitOf(r)
	r.Quiet = w.begins != nil && r.Timeout == 0 && r.Files() == 0 && !r.Service
	f := w.flight.Send(r)
	f.Parcel = parcel
	f.Time = uint64(w.bound)
	if r.Quiet {
		f.Time |= wire.Quiet
	}
	w.conn.Send(f)
	b.flush(w.conn)
	return sent
}

// sendAlone hands out a row that is the only one, if it asks for nothing and a worker is there to take it at once. It reports false if it has done nothing. p.mu is
// held.
func (p *Pool) sendAlone(b *batch, r *link.Row) bool {
	w := p.takesAlone(r)
	if w == nil {
		return false
	}
	p.putAlone(w, r)
	if w.lane.Asleep() {
		b.wake(w.lane)
	}
	p.watchLane(b, w)
	return true
}

// starve has a row wait until rows under way give descriptors back. p.mu is held.
func (p *Pool) starve(b *batch, w *worker, r *link.Row) sending {
	p.starved = true
	if r.Service { // it keeps its worker meanwhile
		w.pending, r.Where = r, w
	} else {
		p.enqueue(b, r)
	}
	return waits
}

// openBegun gives w the word that spares it start frames, if its rows will go on
// travelling on the link: with the second row, as it would get a lane. p.mu is held.
func (w *worker) openBegun(r *link.Row) {
	if w.begins != nil || w.noBegun || w.rows == 0 || w.lane != nil || r.Fresh || r.Service {
		return
	}
	if !sys.HasShared || !w.conn.CarriesFiles() || w.conn.Local() {
		w.noBegun = true
		return
	}
	begins, f, err := link.OpenBegun()
	if err != nil {
		w.noBegun = true
		return
	}
	w.begins = begins
	w.conn.Send(f)
}

// count notes that r is about to be sent. p.mu is held.
func (w *worker) count(p *Pool, r *link.Row) {
	w.rows++
	w.alone = r.Alone
	r.Charge = uint32(min(p.mean(r.Func), math.MaxUint32))
	w.ahead += uint64(r.Charge)
}

// filesUnderWay reports whether rows with open files have been sent and not begun.
func (p *Pool) filesUnderWay() bool {
	for w := range p.all {
		if w.flight.Files() > 0 {
			return true
		}
	}
	return false
}
