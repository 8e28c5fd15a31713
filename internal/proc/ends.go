package proc

import (
	"slices"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// batch gathers what must happen outside p.mu: writing to links and telling owners.
type batch struct {
	p     *Pool
	conns []link.Conn
	lanes []*link.Lane // whose workers are to be woken
	ends  []ending
	arena []byte // bodies of ends
	look  bool   // there is more to read in the lanes

	released int // rows whose owners were told at once

	regions []*region.Region // references to give back
	lease   region.Set       // the same
	leases  []region.Set     // and more

	in   *result   // what the body of the end that is being applied lies in
	read []*result // what the owners have been told of
}

// empty reports whether there is nothing to run.
func (b *batch) empty() bool {
	return len(b.conns) == 0 && len(b.lanes) == 0 && len(b.ends) == 0 && !b.look && len(b.read) == 0 && len(b.regions) == 0 && b.lease.Len() == 0
}

type ending struct {
	row   *link.Row
	o     link.Outcome
	again bool
	setup bool    // a worker's set-up row: not one of the pool's
	in    *result // what o.Body lies in; nil: memory of this process
}

func (b *batch) flush(c link.Conn) {
	if !slices.Contains(b.conns, c) {
		b.conns = append(b.conns, c)
	}
}

// run writes to the links, then tells the owners, until neither causes more.
func (b *batch) run() {
	for len(b.conns) > 0 || len(b.ends) > 0 || len(b.lanes) > 0 || b.look {
		for _, l := range b.lanes {
			l.Wake()
		}
		clear(b.lanes)
		b.lanes = b.lanes[:0]
		for _, c := range b.conns {
			c.Flush()
		}
		clear(b.conns)
		b.conns = b.conns[:0]
		b.tell()
		if b.look {
			b.look = false
			b.p.mu.Lock()
			b.p.readAll(b)
			b.p.mu.Unlock()
		}
	}
	b.letGo()
}

// letGo gives references back, which is done without locks.
func (b *batch) letGo() {
	for _, r := range b.regions {
		r.Release()
	}
	clear(b.regions)
	b.regions = b.regions[:0]
	b.lease.Release()
	for i := range b.leases {
		b.leases[i].Release()
	}
	b.leases = b.leases[:0]
}

// letGoOf has references given back once p.mu is released.
func (b *batch) letGoOf(s region.Set) {
	if b.lease.Len() == 0 {
		b.lease = s
		return
	}
	b.leases = append(b.leases, s)
}

// tell tells the owners of rows that have ended, queues those again that shall run
// once more, and frees the room of the others.
func (b *batch) tell() {
	if len(b.ends) == 0 {
		return
	}
	ends := b.ends
	b.ends = nil
	told, released, inner, returned := 0, 0, 0, 0
	var again []*link.Row
	for i := range ends {
		e := &ends[i]
		if e.in != nil {
			b.read = append(b.read, e.in)
		}
		parcel, segment := e.row.Parcel, e.row.Segment
		regions, charged := e.row.Regions, e.row.Charged
		nested := e.row.Nest != nil
		if !e.setup {
			told++
		}
		if e.again {
			returned++
		}
		if !e.again {
			e.row.Parcel, e.row.Body, e.row.Segment = nil, nil, nil
			e.row.Regions, e.row.Charged = region.Set{}, false
		}
		if regions.Len() > 0 {
			held := regions
			e.o.Regions = &held
			if charged && !e.again { // before its owner hears of it and makes another call
				b.p.mu.Lock()
				b.p.uncharge(&regions)
				b.p.mu.Unlock()
				charged = false
			}
		}
		if e.row.Owner.End(e.o, e.again) {
			again = append(again, e.row)
			continue
		}
		// The row is its owner's from here on, and may be another one by now.
		parcel.Close()
		segment.Free()
		if regions.Len() > 0 {
			b.letGoOf(regions)
			if charged {
				b.p.mu.Lock()
				b.p.uncharge(&regions)
				b.p.mu.Unlock()
			}
		}
		if !e.setup {
			released++
		}
		if nested {
			inner++
		}
	}
	clear(ends)
	b.ends, b.arena = ends[:0], b.arena[:0]
	if released == 0 && len(again) == 0 && len(b.read) == 0 {
		return
	}
	p := b.p
	p.mu.Lock()
	for _, r := range b.read {
		r.wasRead(b)
	}
	b.read = b.read[:0]
	p.returning -= returned
	p.telling -= told
	for _, r := range again {
		r.Again()
		f := p.account.of(r)
		f.Failed-- // an attempt did, not the call
		f.Retried++
		switch {
		case r.Cancelled != nil:
			p.end(b, r, link.Outcome{Err: r.Cancelled})
		case r.Unbegun != nil:
			p.end(b, r, link.Outcome{Err: r.Unbegun})
		case p.over:
			p.end(b, r, link.Outcome{Err: ErrClosed})
		case p.homeless(r):
			p.endForGood(b, r, link.Outcome{Err: p.retiredError(r.On)})
		default:
			p.enqueue(b, r)
		}
	}
	if len(again) > 0 || p.closing > 0 {
		p.settle(b)
	}
	p.inner -= inner
	p.release(released)
	p.mu.Unlock()
}

// end ends a row that is in no queue and on no link; its room is freed once its
// owner has been told. p.mu is held.
func (p *Pool) end(b *batch, r *link.Row, o link.Outcome) {
	if r.State() == link.Queued {
		r.End()
	}
	if r.Nest != nil {
		p.takeBackLoan(r)
	}
	o.Cancelled, r.Cancelled = r.Cancelled, nil
	again := r.Keep && !p.over && (r.Tireless || r.Kills < setAside && r.Lost < setAside)
	if again {
		p.returning++
	}
	b.ends = append(b.ends, ending{row: r, o: o, again: again})
	p.telling++
	if f := p.account.of(r); o.Err == nil {
		f.Done++
	} else {
		f.Failed++
	}
}

// endForGood is end for a row that cannot run again. p.mu is held.
func (p *Pool) endForGood(b *batch, r *link.Row, o link.Outcome) {
	p.end(b, r, o)
	if e := &b.ends[len(b.ends)-1]; e.again {
		e.again = false
		p.returning--
	}
}

// release frees the room of rows that have ended. p.mu is held.
func (p *Pool) release(n int) {
	if n == 0 {
		return
	}
	p.live -= n
	p.wakeWaiting()
	if p.live == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// Cancel ends rows early, with err as why: rows that have not begun end at once,
// the context of those that run ends. Rows that have ended are left alone.
func (p *Pool) Cancel(err error, rows ...*link.Row) {
	b := batch{p: p}
	p.mu.Lock()
	p.cancelRows(&b, rows, err)
	p.settle(&b)
	p.mu.Unlock()
	b.run()
}

// cancelRows is cancel for several rows: what a worker has not claimed is taken back once for all. p.mu is held.
func (p *Pool) cancelRows(b *batch, rows []*link.Row, err error) {
	var inLanes []*link.Row
	for _, r := range rows {
		switch {
		case r.Cancelled != nil || r.Seq == 0:
			r.NotAgain(err)
		case (r.State() == link.Sent || r.State() == link.Started) && r.Flight().Tag.(*worker).viaLane:
			r.Cancelled = err
			inLanes = append(inLanes, r)
		default:
			p.cancel(b, r, err)
		}
	}
	for _, r := range inLanes {
		if f := r.Flight(); f != nil && r.State() != link.Ended { // else it has ended, with others
			p.cancelInLane(b, f.Tag.(*worker), r)
		}
	}
}

// CancelUnbegun ends those rows, with err as why, that have not begun, and the
// contexts of services; other rows run on, but not again.
func (p *Pool) CancelUnbegun(err error, rows ...*link.Row) {
	b := batch{p: p}
	p.mu.Lock()
	var sent []*link.Row // marked first, all: those that are taken back end then
	for _, r := range rows {
		if r.Tireless { // it ends when the others have
			continue
		}
		if r.Seq == 0 || r.Unbegun != nil || r.Cancelled != nil {
			continue
		}
		r.Unbegun = err
		if r.State() != link.Queued {
			sent = append(sent, r)
			continue
		}
		p.unqueue(r)
		p.end(&b, r, link.Outcome{Err: err})
	}
	for _, r := range sent {
		if r.State() == link.Sent {
			p.sync(&b, r.Flight().Tag.(*worker))
		}
		switch r.State() {
		case link.Queued:
			p.unqueue(r)
			p.end(&b, r, link.Outcome{Err: err})
		case link.Sent:
			p.recall(&b, r, wire.KindRecall)
		case link.Started:
			if r.Service {
				p.cancel(&b, r, err)
			}
		case link.Ended:
		}
	}
	p.settle(&b)
	p.mu.Unlock()
	b.run()
}

// CancelAll ends all rows early that the driver has submitted, with err as why.
func (p *Pool) CancelAll(err error) {
	b := batch{p: p}
	p.mu.Lock()
	var rows []*link.Row
	for _, q := range p.queues() {
		rows = append(rows, q.rows()...)
	}
	for w := range p.all {
		if w.pending != nil {
			rows = append(rows, w.pending)
		}
		if r := w.flight.Front(); r != nil && r != w.setup {
			rows = append(rows, r)
		}
		rows = slices.AppendSeq(rows, w.flight.Unbegun())
	}
	rows = slices.DeleteFunc(rows, func(r *link.Row) bool { return r.Nest != nil }) // those that tasks made end with these
	p.cancelRows(&b, rows, err)
	p.settle(&b)
	p.mu.Unlock()
	b.run()
}

// Patient is a cause for which a service that has not begun begins first.
type Patient interface {
	error
	AfterBegin()
}

func (p *Pool) cancel(b *batch, r *link.Row, err error) {
	if r.Cancelled != nil || r.Seq == 0 {
		r.NotAgain(err)
		return
	}
	state := r.State()
	if _, patient := err.(Patient); patient && r.Service && (state == link.Queued || state == link.Sent) { //nolint:errorlint // identity is meant: methods of a user's error must not run here
		r.Late = err
		return
	}
	switch state {
	case link.Queued:
		p.unqueue(r)
		r.Cancelled = err
		p.end(b, r, link.Outcome{Err: err})
	case link.Sent, link.Started:
		r.Cancelled = err
		w := r.Flight().Tag.(*worker)
		if w.viaLane {
			p.cancelInLane(b, w, r)
			return
		}
		p.sync(b, w)
		p.recall(b, r, wire.KindCancel)
		if r.State() == link.Started {
			w.armGrace(r)
		} else {
			w.armAnswer(r)
		}
	case link.Ended:
		if r.Keep { // its owner may be about to run it again
			r.Cancelled = err
		}
	}
}

// recall asks the worker that a row was sent to for it. p.mu is held.
func (p *Pool) recall(b *batch, r *link.Row, kind wire.Kind) {
	w := r.Flight().Tag.(*worker)
	if w.viaLane {
		p.takeBack(b, w)
		return
	}
	if f, ok := r.Flight().Recall(r, kind); ok {
		w.conn.Send(f)
		b.flush(w.conn)
	}
}
