package proc

import (
	"encoding/binary"
	"math"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/sys"
)

// A row that is the only one of its pool, and asks for nothing, takes a short way: it goes to the first worker that idles, without a queue, and who waits for
// it reads the lane itself. What enqueue, settle, put and readAll come to then is what stands here.

// LeadAlone is Lead for who goes on with CallAlone. The first worker, if it sleeps, is woken meanwhile.
func (p *Pool) LeadAlone() bool {
	if !p.Lead() {
		return false
	}
	p.rouse()
	return true
}

// CallAlone submits r, which asks for nothing and has a quick owner, if no other row is in the pool and a worker is there to take it at once. The caller leads, and has
// done nothing since that takes its time. sent says whether r was submitted: if not, the caller leads no more. over says that it has ended, of which its owner has been
// told, and that the caller leads no more; if it was sent and is not over, Await must follow.
func (p *Pool) CallAlone(r *link.Row) (sent, over bool) {
	p.mu.Lock()
	var w *worker
	if p.live == 0 && !p.closed {
		w = p.takesAlone(r)
	}
	if w == nil {
		b := batch{p: p}
		p.resign(&b)
		p.mu.Unlock()
		b.run()
		return false, false
	}
	p.live = 1
	p.putAlone(w, r)
	lane := w.lane // not freed while the leader is awake
	asleep := lane.Asleep()
	p.mu.Unlock()
	if asleep {
		lane.Wake()
	}
	for range lookFirst {
		if lane.Results.Ready() {
			return true, p.endAlone(w, r)
		}
		sys.Pause()
	}
	return true, false
}

// takesAlone returns the first worker that idles, if it can take r without further ado, and nothing else is to be done before; else nil. r is to be the only row. p.mu is held.
func (p *Pool) takesAlone(r *link.Row) *worker {
	if p.over || p.closing > 0 || p.loans > 0 || len(p.extras) > 0 || r.Alone || r.Nest != nil || r.Segment != nil || r.Parcel != nil {
		return nil
	}
	for _, s := range p.seats {
		w := s.w
		if w == nil || !w.ready || w.flight.Len() > 0 {
			continue
		}
		if w.lane == nil || w.stale || w.worn || w.lent || w.broken || w.paused > 0 || s.closing || w.bound != p.cfg.Memory || p.cfg.Recycle > 0 && w.rows >= p.cfg.Recycle || !w.lane.Rows.Fits(len(r.Body)) {
			return nil
		}
		if r.Regions.Len() > 0 && (p.cfg.Shared > 0 || !r.Regions.Only(w.lastShown)) {
			return nil
		}
		return w
	}
	return nil
}

// putAlone puts r, which w takes alone, into its lane. p.mu is held.
func (p *Pool) putAlone(w *worker, r *link.Row) {
	p.seq++
	r.Seq = p.seq
	r.Renew()
	r.Quiet = false
	w.viaLane = true
	w.count(p, r)
	w.flight.Put(r)
	row := ring.Row{Func: r.Func, Call: r.Call(), Body: r.Body}
	if binary.LittleEndian.Uint64(r.Body) == math.MaxUint64 { // it is no stream's, and has no index: without the room for one more of them lie in one cache line
		row.Flags, row.Body = link.FlagLoose, r.Body[link.IndexSize:]
	}
	if !w.lane.Rows.Put(row) {
		panic("proc: a row sent to a lane without room")
	}
	if !r.Bulk {
		w.prompts++
	}
	p.setPace(w, 1, 1)
	if err := w.lane.Rows.Publish(); err != nil {
		w.corrupt(err)
	}
	p.armMarks()
	p.watchOver(w.bound > 0)
}

// endAlone reads the end of r from the lane of w, if nothing has come between, and resigns for the leader. It reports whether it has.
func (p *Pool) endAlone(w *worker, r *link.Row) bool {
	p.mu.Lock()
	if w.flight.Front() != r {
		p.mu.Unlock()
		return false
	}
	b := &p.leaders
	b.p = p
	if p.readOne(b, w) {
		p.afterRead(b, w)
	}
	lease := b.lease.Take() // what r named
	if p.live > 0 || !b.empty() || len(p.lanes.dead) > 0 {
		p.mu.Unlock()
		lease.Release()
		b.run()
		return false
	}
	p.leading.Store(leadsNone) // which is enough: see watchLane
	p.mu.Unlock()
	lease.Release()
	return true
}
