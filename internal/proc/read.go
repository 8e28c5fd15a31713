package proc

import (
	"errors"
	"fmt"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// How what workers put in their lanes is read, and what they have not claimed taken
// back.

// drain reads the results that are in w's lane, up to a lot, and hands w more rows.
// It reports whether there was any. p.mu is held.
func (p *Pool) drain(b *batch, w *worker) (read bool) {
	for n := 0; n < laneLot; {
		got := 0
		if r := w.flight.Piece(); r != nil && w.reads() {
			got = p.drainPiece(b, w, r, laneLot-n)
		} else if p.readOne(b, w) {
			got = 1
		}
		if got == 0 {
			break
		}
		n += got
		read = true
	}
	if read {
		p.afterRead(b, w)
	}
	return read
}

// readOne reads a result that is in w's lane, if there is one; afterRead must follow. p.mu is held.
func (p *Pool) readOne(b *batch, w *worker) bool {
	if !w.reads() {
		return false
	}
	res, ok, err := w.lane.Results.Next()
	if err == nil && ok {
		err = p.laneEvent(b, w, &res)
	}
	if err != nil {
		w.corrupt(err)
		return false
	}
	return ok
}

// reads reports whether what w has answered in its lane is to be read. p.mu is held.
func (w *worker) reads() bool {
	return w.lane != nil && !w.broken && !w.elsewhere // that one's end comes first
}

// afterRead gives back the room of what was read, and hands w more rows. p.mu is held.
func (p *Pool) afterRead(b *batch, w *worker) {
	if w.lane.Release() {
		b.wake(w.lane)
	}
	p.release(b.released)
	b.released = 0
	p.refill(b, w)
}

// laneEvent applies one record. p.mu is held.
func (p *Pool) laneEvent(b *batch, w *worker, res *ring.Result) error {
	if r := w.flight.Piece(); r != nil && wire.Kind(res.Kind) == wire.KindResult {
		return p.endInPiece(b, w, r, res)
	}
	if r := w.flight.Front(); r != nil && wire.Kind(res.Kind) == wire.KindResult && r.Quick != nil && r.Cancelled == nil && r.Segment == nil && r.Memory == 0 {
		if _, err := w.flight.Answer(res.Call); err != nil {
			return err
		}
		w.lane.Rows.Ended(1)
		w.left(r)
		p.heard(b, w, r, 1, res.Time)
		p.ran(w, r, 0, 1, res.Time, false).Done++
		b.released++
		if r.Regions.Len() > 0 {
			if r.Charged {
				p.uncharge(&r.Regions)
				r.Charged = false
			}
			b.letGoOf(r.Regions.Take())
		}
		r.Quick.EndAtOnce(res.Body)
		return nil
	}
	f := link.Frame{Kind: wire.Kind(res.Kind), Time: res.Time}
	switch f.Kind {
	case wire.KindResult, wire.KindFail:
	case wire.KindResultIn:
		in, body, err := w.resultIn(f, b.keep(res.Body))
		if err != nil {
			return err
		}
		f.Body, b.in = body, in
	case wire.KindElsewhere, wire.KindStart:
		r := w.flight.Front()
		if r == nil || uint32(r.Call()) != res.Call {
			return fmt.Errorf("call %d is not the next", res.Call)
		}
		w.flight.Started()
		if f.Kind == wire.KindStart {
			if r.Timeout == 0 || w.startedCall == r.Call() {
				return fmt.Errorf("an unasked start of call %d", r.Call())
			}
			w.startedCall = r.Call()
			w.begun(r)
			return nil
		}
		w.elsewhere = true
		return nil
	default:
		return fmt.Errorf("a record of %v", f.Kind)
	}
	r, err := w.flight.Answer(res.Call)
	if err != nil {
		b.dropIn()
		return err
	}
	w.lane.Rows.Ended(1)
	w.left(r)
	if f.Kind != wire.KindResultIn {
		f.Body = b.keep(res.Body)
	}
	p.answered(b, w, r, f)
	return nil
}

// endElsewhere applies the end of a row of w's lane that came on the link. p.mu is
// held.
func (p *Pool) endElsewhere(b *batch, w *worker, f link.Frame) error {
	for !w.elsewhere && p.drainOnly(b, w) { // up to where the lane says so
	}
	if !w.elsewhere {
		f.Parcel.Close()
		return fmt.Errorf("%v frame for call %d, which is not said to come", f.Kind, f.Call)
	}
	if f.Kind == wire.KindResultIn {
		in, body, err := w.resultIn(f, f.Body)
		if err != nil {
			return err
		}
		b.in, f.Body, f.Parcel = in, body, nil
	}
	r, err := w.flight.Answer(uint32(f.Call))
	if err != nil {
		f.Parcel.Close()
		b.dropIn()
		return err
	}
	w.elsewhere = false
	w.lane.Rows.Ended(1)
	w.left(r)
	p.answered(b, w, r, f)
	p.refill(b, w)
	b.look = true // what came behind it
	return nil
}

// sync reads what w has sent in its lane and notes which row it runs. p.mu is held.
func (p *Pool) sync(b *batch, w *worker) {
	if r := w.quietFront(); r != nil {
		// One that was called back may have been given back, and the next have begun.
		if last := w.begins.Last(); last == r.Call() || last > r.Call() && !r.CalledBack() {
			w.flight.Started()
		}
	}
	if !w.viaLane || w.lane == nil || w.broken {
		return
	}
	claimed, err := w.lane.Rows.Claimed()
	if err != nil {
		w.corrupt(err)
		return
	}
	before := w.flight.Len()
	for p.drainOnly(b, w) {
	}
	// Each row's end is there before the next is claimed.
	switch claimed -= before - w.flight.Len(); {
	case w.broken || w.flight.Len() == 0:
	case claimed > 1 && !w.elsewhere: // behind a row whose end is on the link others may have ended too
		w.corrupt(fmt.Errorf("%d rows claimed that have not ended", claimed))
	case claimed >= 1:
		w.flight.Started()
	}
}

// quietFront returns the front if its worker sends no start frame, and it is not known to have begun. p.mu is held.
func (w *worker) quietFront() *link.Row {
	if w.flight.Piece() != nil {
		return nil
	}
	if r := w.flight.Front(); r != nil && r.Quiet && r.State() == link.Sent {
		return r
	}
	return nil
}

// drainOnly is drain, without handing out more.
func (p *Pool) drainOnly(b *batch, w *worker) bool {
	w.paused++
	defer func() { w.paused-- }()
	return p.drain(b, w)
}

// takeBack takes back what w has not claimed. The rows wait again, or end if that is
// what was wanted. p.mu is held.
func (p *Pool) takeBack(b *batch, w *worker) {
	if w.broken || w.lane == nil {
		return
	}
	n, err := w.lane.Rows.TakeBack()
	if err != nil {
		w.corrupt(err)
		return
	}
	w.unpublished = false
	p.sync(b, w)
	if w.broken {
		return
	}
	if front := w.flight.Front(); n > w.flight.Len() || n > 0 && n == w.flight.Len() && front.State() == link.Started {
		w.corrupt(errors.New("rows have ended, or begun, that were not claimed"))
		return
	}
	for _, r := range w.flight.TakeBack(n, nil) {
		if r.Pack != nil {
			p.pieceGivenBack(b, w, r)
			continue
		}
		w.left(r)
		p.givenBack(b, w, r)
	}
	p.settle(b)
}

// readAll reads a lot from each lane, and has the workers ring for the rest. It
// reports whether there was any. p.mu is held.
func (p *Pool) readAll(b *batch) (read bool) {
	for _, w := range p.laned {
		if w.viaLane && p.drain(b, w) {
			read = true
		}
	}
	for _, w := range p.laned {
		p.watchLane(b, w)
	}
	return read
}

// keep copies a record's body to where it stays until its owner has been told.
func (b *batch) keep(body []byte) []byte {
	if len(body) > cap(b.arena)-len(b.arena) {
		b.arena = make([]byte, 0, max(16<<10, len(body)))
	}
	n := len(b.arena)
	b.arena = append(b.arena, body...)
	return b.arena[n:len(b.arena):len(b.arena)]
}

// cancelInLane ends a row of w's lane early: at once if it has not begun. p.mu is held.
func (p *Pool) cancelInLane(b *batch, w *worker, r *link.Row) {
	p.takeBack(b, w)
	if s := r.State(); s == link.Started || s == link.Sent { // Sent: claimed, behind one whose end is on the link
		if f, ok := w.flight.Recall(r, wire.KindCancel); ok {
			w.conn.Send(f)
			b.flush(w.conn)
		}
		w.armGrace(r)
	}
}

// steal has an idle worker share what another has not claimed: no row waits behind a
// slow one while somebody could run it. p.mu is held.
func (p *Pool) steal(b *batch, idle *worker) {
	if p.over || !idle.ready || idle.lent {
		return
	}
	var victim *worker
	for _, w := range p.laned {
		if w.viaLane && !w.broken && w.flight.Len() > 2 && (victim == nil || w.flight.Len() > victim.flight.Len()) {
			victim = w
		}
	}
	if victim != nil {
		p.takeBack(b, victim)
	}
}
