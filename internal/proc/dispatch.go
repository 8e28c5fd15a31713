package proc

import (
	"errors"
	"slices"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

// How far rows are sent ahead of the one a worker runs. Rows long enough for the
// round trip not to matter are handed out one by one, strictly top to bottom;
// short ones travel together, as much as they add up to aheadWork.
const (
	aheadWork  = uint64(200 * time.Microsecond)
	aheadBytes = 256 << 10
	aheadRows  = 256
	// aloneMean is the mean from which a function's rows are not sent ahead.
	aloneMean = uint64(20 * time.Millisecond)
)

// settle hands waiting rows to workers with room until there are none of the one
// or the other. p.mu is held.
func (p *Pool) settle(b *batch) {
	if p.any.len == 0 && p.picky.len == 0 {
		for _, w := range p.workers {
			if w.own.len > 0 {
				p.feed(b, w, 1)
			}
		}
		return
	}
	// Idle workers first, one row each, so that few rows spread over many workers.
	for _, w := range p.workers {
		if w.ready && w.flight.Len() == 0 {
			p.feed(b, w, 1)
		}
	}
	for _, w := range p.workers {
		if w.ready {
			p.feed(b, w, p.share())
		}
	}
}

// share is how many rows one worker may be handed at once: its part of what waits.
func (p *Pool) share() int { return p.any.len/len(p.workers) + 1 }

// feed hands w up to n rows, in order, as far as it has room. p.mu is held.
func (p *Pool) feed(b *batch, w *worker, n int) {
	for ; n > 0; n-- {
		q, r := p.next(w)
		if r == nil || !p.fits(w, r) {
			return
		}
		q.remove(r)
		p.send(b, w, r)
	}
}

// next returns the earliest waiting row that may run on w, and its queue.
func (p *Pool) next(w *worker) (*queue, *link.Row) {
	q, r := &p.any, p.any.head
	if o := w.own.head; o != nil && (r == nil || o.Seq < r.Seq) {
		q, r = &w.own, o
	}
	for o := p.picky.head; o != nil && (r == nil || o.Seq < r.Seq); o = o.Next {
		if slices.Contains(o.On, w.rank) {
			return &p.picky, o
		}
	}
	return q, r
}

// fits reports whether r may be sent to w now.
func (p *Pool) fits(w *worker, r *link.Row) bool {
	if !w.ready {
		return false
	}
	if w.flight.Len() == 0 {
		return true
	}
	mean := p.means[r.Func]
	if r.Alone || w.alone || w.stalled || mean == 0 || mean > aloneMean {
		return false
	}
	if w.flight.Bytes()+len(r.Body) > aheadBytes || w.flight.Len() >= aheadRows {
		return false
	}
	return w.flight.Len() < 2 || w.ahead+mean <= aheadWork
}

// send puts r on w's link. p.mu is held.
func (p *Pool) send(b *batch, w *worker, r *link.Row) {
	parcel, err := r.Parcel.Clone()
	if err == nil && parcel != nil && !w.conn.CarriesFiles() {
		err = errNoFiles
	}
	if err != nil {
		parcel.Close()
		p.end(b, r, link.Outcome{Err: err, Rank: w.rank, PID: w.pid})
		return
	}
	f := w.flight.Send(r)
	f.Parcel = parcel
	w.alone = r.Alone
	w.ahead += p.means[r.Func]
	w.conn.Send(f)
	b.flush(w.conn)
	if w.flight.Len() > 1 {
		p.armStall()
	}
}

// event applies a frame that w sent about a row. An error means that the link is
// broken. p.mu is held.
func (p *Pool) event(b *batch, w *worker, f link.Frame) error {
	r, err := w.flight.Event(f)
	if err != nil {
		f.Parcel.Close()
		return err
	}
	switch f.Kind {
	case wire.KindStart:
		switch {
		case r.Cancelled != nil: // the cancel was under way when it began
			w.armGrace(r)
		case r.Timeout > 0:
			w.armTimeout(r)
		}
	case wire.KindResult, wire.KindFail:
		w.disarm()
		p.learn(r.Func, f.Time)
		if r != w.setup {
			w.done++
		}
		w.stalled = false
		w.ahead -= min(w.ahead, p.means[r.Func])
		if w.flight.Len() == 0 {
			w.ahead, w.alone = 0, false
		}
		o := link.Outcome{Body: f.Body, Parcel: f.Parcel, Rank: w.rank, PID: w.pid}
		if f.Kind == wire.KindFail {
			o.Body, o.Err = nil, &RowError{Body: f.Body}
		} else if errors.Is(r.Cancelled, ErrTimeout) {
			f.Parcel.Close() // it came, but too late
			o = link.Outcome{Err: r.Cancelled, Rank: w.rank, PID: w.pid}
		}
		if r == w.setup {
			b.ends = append(b.ends, ending{r, o})
			return nil
		}
		p.end(b, r, o)
		p.feed(b, w, p.share())
		if w.flight.Len() == 0 && p.stall.due == stallBusy {
			p.armStall() // it idles, and somebody may have rows for it
		}
	case wire.KindRecalled:
		w.ahead -= min(w.ahead, p.means[r.Func])
		if r.Cancelled != nil {
			p.end(b, r, link.Outcome{Err: r.Cancelled, Rank: w.rank, PID: w.pid})
			p.feed(b, w, p.share())
			return nil //nolint:nilerr // Cancelled is why the row ends, not that the link failed
		}
		if p.closed && w.leaving {
			p.end(b, r, link.Outcome{Err: ErrClosed, Rank: w.rank, PID: w.pid})
			return nil
		}
		p.stats.TakenBack++
		p.enqueue(r)
		p.settle(b)
	}
	return nil
}

// learn updates a function's running mean: a weighted mean that forgets, so that
// it follows rows whose length drifts.
func (p *Pool) learn(fn uint16, ns uint64) {
	ns = max(ns, 1)
	mean, ok := p.means[fn]
	if !ok {
		p.means[fn] = ns
		return
	}
	p.means[fn] = max(1, mean-mean/8+ns/8)
}
