package proc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

// Calls that a task makes come to the driver as KindNest frames and become rows
// like others, which go before those of the driver, the deepest first. While the
// task waits for one of them it lends its slot (KindLend): at most Workers tasks
// run that do not wait. (A task that stops waiting before any of its calls has ended,
// or computes on while one of its goroutines waits, runs above that count.) A call
// for which there is no idle worker gets a process beside the pool's, an extra, as
// long as MaxProcesses is not reached; once every process waits for calls of its own,
// the calls that wait end with ErrDepth.
//
// The result of a call ends the loan, in the driver, before the slot of the call
// itself is given away, so that the task that waited has one again; the frame says
// which loan it ended. A task that still waits lends once more.

// errNested is how calls end whose task has ended.
var errNested = fmt.Errorf("the task that called has ended: %w", context.Canceled)

// errOnceBegun is why services end that a task called, once they have begun.
var errOnceBegun error = onceBegunError{context.Canceled}

type onceBegunError struct{ error }

func (e onceBegunError) Unwrap() error { return e.error }

// AfterBegin implements Patient.
func (onceBegunError) AfterBegin() {}

var _ Patient = onceBegunError{}

// nested is the owner of a row that a task made.
type nested struct {
	p    *Pool
	conn link.Conn // of the process that the task runs in
	row  link.Row
	nest link.Nest
	loan uint64 // the loan that its end took back
}

// End implements link.Owner.
func (n *nested) End(o link.Outcome, _ bool) bool {
	f := link.Frame{Kind: wire.KindNested, Call: n.nest.Call, Time: n.loan, Body: o.Body, Parcel: o.Parcel}
	if o.Err != nil {
		f.Kind, f.Body = wire.KindNestFail, n.p.cfg.FailBody(&n.row, o)
	}
	if f.Parcel != nil && len(f.Parcel.Items) > 0 && !n.conn.CarriesFiles() {
		f.Parcel.Close()
		f.Parcel, f.Kind = nil, wire.KindNestFail
		f.Body = n.p.cfg.FailBody(&n.row, link.Outcome{Err: errNoFiles})
	}
	f.Body = slices.Clone(f.Body) // the link may keep it
	n.conn.Send(f)
	n.conn.Flush()
	return false
}

// nestEvent applies a frame about calls of the row that w runs. p.mu is held.
func (p *Pool) nestEvent(b *batch, w *worker, f link.Frame, owned bool) error {
	p.sync(b, w)
	switch f.Kind {
	case wire.KindNest:
		return p.nest(b, w, f, owned)
	case wire.KindUnnest:
		if r := w.children[f.Call]; r != nil {
			why := context.Canceled
			if f.Time == wire.OnceBegun {
				why = errOnceBegun
			}
			p.cancel(b, r, why)
			p.settle(b)
		}
	case wire.KindLend:
		if r := w.flight.Front(); r == nil || r.State() != link.Started || w.lent {
			return nil // the row has ended meanwhile, or the driver was told before
		}
		w.lent, w.loan = true, f.Call
		p.loans++
		// Nothing must wait behind a row that waits.
		if w.viaLane {
			p.takeBack(b, w)
		} else {
			for r := range w.flight.Waiting() {
				p.recall(b, r, wire.KindRecall)
			}
		}
		p.settle(b)
	case wire.KindReclaim:
		if w.lent && w.loan == f.Call {
			w.lent = false
			p.loans--
		}
	default:
	}
	return nil
}

// nest takes a call that the row on w makes. p.mu is held.
func (p *Pool) nest(b *batch, w *worker, f link.Frame, owned bool) error {
	parent := w.flight.Front()
	o, args, err := wire.ParseNestOptions(f.Body)
	if err == nil && w.children[f.Call] != nil {
		err = fmt.Errorf("call %d of a task made twice", f.Call)
	}
	if err != nil {
		f.Parcel.Close()
		return err
	}
	if !owned {
		args = slices.Clone(args)
	}
	n := &nested{p: p, conn: w.conn, nest: link.Nest{Parent: parent, Call: f.Call, Depth: 1}}
	n.row = link.Row{
		Func: f.Func, Body: args, Parcel: f.Parcel, Owner: n, Nest: &n.nest, Keep: false,
		Timeout: o.Timeout, Memory: o.Memory, Fresh: o.Fresh, Service: o.Service, On: o.On, Alone: true,
	}
	if f.Parcel != nil {
		err = f.Parcel.Unpack()
		n.row.Regions = f.Parcel.Regions.Take()
	}
	if parent != nil && parent.Nest != nil {
		n.nest.Depth = parent.Nest.Depth + 1
	}
	p.live++
	p.inner++
	p.seq++
	n.row.Seq = p.seq
	switch {
	case err != nil:
	case parent == nil || parent.State() != link.Started:
		err = errNested
	case p.over:
		err = ErrClosed
	case parent == w.setup:
		err = fmt.Errorf("a call made by a set-up function: %w", errors.ErrUnsupported)
	case len(o.On) > 0 && p.cfg.Kind.Mortal:
		err = fmt.Errorf("a call that a task makes, On a rank of mpi.Spawn, which runs its function: %w", errors.ErrUnsupported)
	case len(o.On) > 0:
		if err = p.checkExist(o.On); err == nil {
			err = p.checkOpen(o.On)
		}
		if err == nil && w.seat != nil && !slices.ContainsFunc(o.On, func(r int) bool { return r != w.rank }) {
			err = &DepthError{Chain: p.chain(&n.row), Pinned: []int{w.rank}}
		}
	}
	if err == nil {
		err = p.charge(&n.row)
	}
	if err != nil {
		p.end(b, &n.row, link.Outcome{Err: err})
		return nil //nolint:nilerr // it is the call's error, the link is sound
	}
	if w.children == nil {
		w.children = map[uint64]*link.Row{}
	}
	w.children[f.Call] = &n.row
	p.enqueue(b, &n.row)
	p.settle(b)
	return nil
}

// chain names the functions that led to r. p.mu is held.
func (p *Pool) chain(r *link.Row) []string {
	var names []string
	for ; r != nil; r = r.Nest.Parent {
		names = append(names, p.cfg.FuncName(r.Func))
		if r.Nest == nil {
			break
		}
	}
	slices.Reverse(names)
	return names
}

// takeBackLoan ends the loan of the task that made r, which is ending. p.mu is held.
func (p *Pool) takeBackLoan(r *link.Row) {
	parent := r.Nest.Parent
	if parent == nil || parent.Flight() == nil {
		return
	}
	w := parent.Flight().Tag.(*worker)
	if w.children[r.Nest.Call] != r {
		return // of an earlier attempt at the parent: the loan is not that one's
	}
	delete(w.children, r.Nest.Call)
	if w.lent {
		w.lent = false
		p.loans--
		r.Owner.(*nested).loan = w.loan
	}
}

// abandon cancels the calls of a row of w that has ended. p.mu is held.
func (p *Pool) abandon(b *batch, w *worker) {
	if w.lent {
		w.lent = false
		p.loans--
	}
	if len(w.children) == 0 {
		return
	}
	children := w.children
	w.children = nil
	for _, r := range children {
		r.Nest.Parent = nil // its memory is its owner's from now on
		p.cancel(b, r, errNested)
	}
}

// slot reports whether another task may begin. p.mu is held.
func (p *Pool) slot() bool {
	if p.loans == 0 && len(p.extras) == 0 {
		return true // each seat that idles has its own
	}
	n := 0
	for w := range p.all {
		if w.runsTask() {
			n++
		}
	}
	return n < max(1, p.open+p.closing)
}

// runsTask reports whether w takes up a slot: it runs a row, or is being started
// for one, that is no service and does not wait for calls of its own. p.mu is held.
func (w *worker) runsTask() bool {
	if w.pending != nil {
		return !w.pending.Service
	}
	r := w.flight.Front()
	return r != nil && r != w.setup && !r.Service && !w.lent
}

// busyElsewhere reports whether rows may have to go elsewhere than to seats. p.mu is
// held.
func (p *Pool) busyElsewhere() bool {
	return p.loans > 0 || len(p.extras) > 0 || p.waitingNested() != nil
}

// wantsExtra reports whether an extra that idles should stay. p.mu is held.
func (p *Pool) wantsExtra() bool {
	return p.waitingNested() != nil || p.loans > 0 && len(p.extras) <= len(p.seats)
}

// waitingNested returns the next call of a task that may run anywhere: of the
// deepest, the earliest. p.mu is held.
func (p *Pool) waitingNested() *link.Row {
	for _, q := range slices.Backward(p.nested) {
		if q.head != nil {
			return q.head
		}
	}
	return nil
}

// settleNested finds workers for calls of tasks. p.mu is held.
func (p *Pool) settleNested(b *batch) {
	for r := p.waitingNested(); r != nil; r = p.waitingNested() {
		if !p.slot() || !p.place(b, r) {
			break
		}
	}
	for _, w := range slices.Clone(p.extras) {
		if w.ready && w.flight.Len() == 0 && !p.wantsExtra() {
			p.retire(b, w)
		}
	}
	p.unlock(b)
}

// place finds a worker for the call of a task, or starts one; false if there is
// none. p.mu is held.
func (p *Pool) place(b *batch, r *link.Row) bool {
	var used *worker // one that idles, but has run rows that this one must not follow
	for _, w := range p.extras {
		if w.ready && !w.worn && w.flight.Len() == 0 {
			if w.usedUpFor(r) {
				used = w
				continue
			}
			p.unqueue(r)
			return p.send(b, w, r) != waits
		}
	}
	for _, s := range p.seats {
		if p.cfg.Kind.Mortal {
			break // its ranks run what was aimed at them
		}
		if w := s.w; w != nil && !s.closing && w.ready && w.flight.Len() == 0 && p.fits(w, r) {
			if w.usedUpFor(r) {
				used = w
				continue
			}
			p.unqueue(r)
			return p.send(b, w, r) != waits
		}
	}
	switch {
	case len(p.spares) > 0 || p.onTheWay() != nil || p.processes() < p.cfg.MaxProcesses:
		p.unqueue(r)
		return p.extra(b, r)
	case used == nil:
		return false
	case used.seat != nil: // as in feed: the row gets the seat, the seat another process
		p.unqueue(r)
		p.reserve(used.seat, r)
		p.retire(b, used)
		return true
	default:
		p.retire(b, used)
		p.unqueue(r)
		return p.extra(b, r)
	}
}

// extra runs a row, which is in no queue, on a process of its own: a spare, or a new
// one. It reports false if the row waits again. p.mu is held.
func (p *Pool) extra(b *batch, r *link.Row) bool {
	if len(p.spares) > 0 {
		w := p.takeSpare()
		p.extras = append(p.extras, w)
		return p.send(b, w, r) != waits
	}
	w := p.onTheWay()
	if w == nil {
		w = newWorker(p, p.freeRank())
		p.launch(w, 0)
	}
	w.pending, r.Where = r, w
	if !slices.Contains(p.extras, w) {
		w.spare = false
		p.extras = append(p.extras, w)
	}
	p.wantSpares()
	return true
}

// onTheWay returns a process that is being started and has nothing to do: a spare, or
// an extra whose row was cancelled; nil if there is none. p.mu is held.
func (p *Pool) onTheWay() *worker {
	for w := range p.all {
		if w.seat == nil && w.pending == nil && !w.ready && !w.leaving && !w.ending {
			return w
		}
	}
	return nil
}

// serve gives a service its process. p.mu is held.
func (p *Pool) serve(b *batch, r *link.Row) {
	for _, w := range p.extras {
		if w.ready && !w.worn && w.flight.Len() == 0 && !w.usedUpFor(r) {
			p.send(b, w, r)
			return
		}
	}
	if len(p.spares) == 0 && p.onTheWay() == nil && p.processes() >= p.cfg.MaxProcesses {
		p.end(b, r, link.Outcome{Err: &ProcessesError{Limit: p.cfg.MaxProcesses}})
		return
	}
	p.extra(b, r)
}

// ProcessesError says that a service found no place.
type ProcessesError struct{ Limit int }

func (e *ProcessesError) Error() string {
	return fmt.Sprintf("a service needs a process of its own, and there are %d already: raise Options.MaxProcesses", e.Limit)
}
