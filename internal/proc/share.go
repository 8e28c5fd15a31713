package proc

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// Shared memory of users' (package region) is named by rows. A worker is shown a region,
// once, before the first row that names it is sent; the row holds a reference until its
// owner has been told how it ended, so that the memory is nobody else's while a task
// may use it. When a region is no more, those who were shown it are told.

// errNoShare is what a row gets that names shared memory where the link carries no
// descriptors.
var errNoShare = fmt.Errorf("shared memory crosses on links that carry descriptors only: %w", errors.ErrUnsupported)

// showShared shows w the regions of a row. p.mu is held.
func (p *Pool) showShared(b *batch, w *worker, regions *region.Set) error {
	if regions.Len() == 0 || regions.Only(w.lastShown) || w.conn.Local() {
		return nil
	}
	for r := range regions.All() {
		id := r.ID()
		if r == w.lastShown || w.shown[id] == r {
			continue
		}
		if !w.conn.CarriesFiles() {
			return errNoShare
		}
		f, err := link.ShareFrame(r)
		if err != nil {
			return &ShareError{err}
		}
		if w.shown == nil {
			w.shown = map[region.ID]*region.Region{}
		}
		if w.shown[id] != nil { // it was gone, and has come again
			w.conn.Send(link.UnshareFrame(id))
		}
		w.shown[id], w.lastShown = r, r
		p.showed.Store(true)
		w.conn.Send(f)
		b.flush(w.conn)
	}
	return nil
}

// ShareError says that a row's shared memory could not be handed over.
type ShareError struct{ Err error }

func (e *ShareError) Error() string { return "hand shared memory over: " + e.Err.Error() }
func (e *ShareError) Unwrap() error { return e.Err }

// unshare tells the workers that a region is no more. It is called without locks of this
// package's, or with p.mu held by somebody else.
func (p *Pool) unshare(r *region.Region) {
	if !p.showed.Load() {
		return
	}
	p.group.Go(func(context.Context) {
		b, id := batch{p: p}, r.ID()
		p.mu.Lock()
		for w := range p.all {
			if w.shown[id] == r {
				delete(w.shown, id)
				w.lastShown = nil
				w.conn.Send(link.UnshareFrame(id))
				b.flush(w.conn)
			}
		}
		p.mu.Unlock()
		b.run()
	})
}

// shared is what a pool's rows and workers have of shared memory.
type shared struct {
	used int64
	rows map[region.ID]int // rows that name the region
}

// charge counts the regions of a row that was accepted, unless that exceeds what the
// pool may use. p.mu is held.
func (p *Pool) charge(r *link.Row) error {
	if p.cfg.Shared <= 0 || r.Regions.Len() == 0 {
		return nil
	}
	if p.shared.rows == nil {
		p.shared.rows = map[region.ID]int{}
	}
	var more int64
	for g := range r.Regions.All() { // a row may name one more than once
		if p.shared.rows[g.ID()]++; p.shared.rows[g.ID()] == 1 {
			more += int64(g.Size())
		}
	}
	p.shared.used += more
	if p.shared.used > p.cfg.Shared {
		p.uncharge(&r.Regions)
		return &link.SharedError{Limit: p.cfg.Shared, Wanted: more}
	}
	r.Charged = true
	return nil
}

// uncharge takes charge back. p.mu is held.
func (p *Pool) uncharge(regions *region.Set) {
	for g := range regions.All() {
		if p.shared.rows[g.ID()]--; p.shared.rows[g.ID()] <= 0 {
			delete(p.shared.rows, g.ID())
			p.shared.used -= int64(g.Size())
		}
	}
}

// shareEvent applies a worker's frame about shared memory. p.mu is held.
func (p *Pool) shareEvent(b *batch, w *worker, f link.Frame) error {
	f.Parcel.Close()
	if f.Kind != wire.KindReserve {
		if len(f.Body) != len(region.ID{}) {
			return fmt.Errorf("malformed %v frame", f.Kind)
		}
		p.holdEvent(b, w, region.ID(f.Body), f.Kind == wire.KindHold)
		return nil
	}
	switch n := int64(f.Call); {
	case n < 0 || f.Time != 0 && n > w.reserved:
		return fmt.Errorf("%v frame for %d bytes", f.Kind, n)
	case f.Time != 0:
		p.shared.used -= n
		w.reserved -= n
	default:
		answer := link.Frame{Kind: wire.KindReserved, Time: uint64(p.cfg.Shared)}
		if p.cfg.Shared <= 0 || n <= p.cfg.Shared-p.shared.used {
			p.shared.used += n
			w.reserved += n
			answer.Call = 1
		}
		w.conn.Send(answer)
		b.flush(w.conn)
	}
	return nil
}

// holdEvent notes that a worker goes on using a region, or does not any more. p.mu is held.
func (p *Pool) holdEvent(b *batch, w *worker, id region.ID, holds bool) {
	kept := w.keeps[id]
	if !holds {
		if kept != nil {
			delete(w.keeps, id)
			b.regions = append(b.regions, kept)
		}
		return
	}
	r := region.Find(id)
	if r == nil {
		return
	}
	r.Keep()
	if kept != nil || id.Kind() != region.Locks {
		b.regions = append(b.regions, r)
		return
	}
	if w.keeps == nil {
		w.keeps = map[region.ID]*region.Region{}
	}
	w.keeps[id] = r // what it holds there is swept when it dies
}
