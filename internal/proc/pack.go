package proc

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// Rows of packs, which ask for nothing, are queued, sent and answered by the piece: what a small row costs the driver is then what is
// written and read for it in a lane, and the look at its place. Whatever else befalls one makes it a row of its own first (see
// link.Pack): who takes rows from a flight gets rows of their own. Beside what stands here only the queue (queue.rows, takeFirst), feed,
// drain and takeBack know pieces.

// SubmitPack is Submit for n rows of a pack from first on.
func (p *Pool) SubmitPack(ctx context.Context, k *link.Pack, first, n int) (int, error) {
	n, err := p.enter(ctx, n, true)
	if err != nil {
		return 0, err
	}
	b := &batch{p: p}
	r := k.Piece(first, n)
	r.Seq = p.seq + 1
	p.seq += uint64(n)
	if k.Of.Cut != nil {
		p.cutPiece(r)
		p.mu.Unlock()
		return n, nil //nolint:nilerr // which they have ended with
	}
	quiet := p.any.len > 0 // no worker has room, as in Submit
	p.any.put(r)
	if !quiet {
		p.settle(b)
	}
	p.mu.Unlock()
	b.run()
	return n, nil
}

// HasLanes reports whether rows may travel in lanes.
func (p *Pool) HasLanes() bool { return p.hasLanes.Load() }

// Mean returns how long rows of a function take, 0: not known.
func (p *Pool) Mean(fn uint16) time.Duration { return p.mean(fn) }

// Cut ends the rows of packs that have not begun, with why, also those that are submitted from now on; the others are rows of their
// own from now on.
func (p *Pool) Cut(of *link.Packs, why error) {
	b := batch{p: p}
	p.mu.Lock()
	of.Cut = why
	for r := p.any.head; r != nil; {
		next := r.Next
		if r.Pack != nil && r.Pack.Of == of {
			p.any.remove(r)
			p.cutPiece(r)
		}
		r = next
	}
	for w := range p.all {
		if w.flight.Has(of) {
			p.takeBack(&b, w)
			w.flight.Singles(of)
		}
	}
	p.settle(&b)
	p.mu.Unlock()
	b.run()
}

// cutPiece ends a piece, which is in no queue and on no link. p.mu is held.
func (p *Pool) cutPiece(r *link.Row) {
	n := r.Count()
	p.account.of(r).Failed += uint64(n)
	r.Cut(r.Pack.Of.Cut)
	p.release(n)
}

// putPiece puts up to n rows of a piece, which waits and of which one fits, into w's lane, where sentTo must follow, and returns how
// many: 0 if they are not to go that way now. p.mu is held.
func (p *Pool) putPiece(w *worker, r *link.Row, n int) int {
	if w.flight.Len() == 0 {
		if w.lane == nil { // it gets one with its second row
			return 0
		}
		w.viaLane = w.inLane(r)
	}
	if !w.viaLane {
		return 0
	}
	n = min(n, r.Count(), p.roomFor(w, r))
	put, call := 0, w.flight.NextCall()
	for put < n && w.lane.Rows.Put(ring.Row{Func: r.Func, Call: call + uint64(put), Body: r.Args(put)}) {
		put++
	}
	if put == 0 {
		return 0
	}
	if put == r.Count() {
		p.unqueue(r)
	} else {
		r.Where.(*queue).len -= put
		r = r.Split(put)
	}
	w.flight.PutPiece(r)
	r.Charge = uint32(min(p.mean(r.Func), math.MaxUint32))
	w.ahead += uint64(put) * uint64(r.Charge)
	w.rows += put
	w.alone, w.unpublished = false, true
	return put
}

// roomFor returns how many rows like those of a piece w may be sent, of which one fits. p.mu is held.
func (p *Pool) roomFor(w *worker, r *link.Row) int {
	mean := uint64(p.mean(r.Func))
	if w.stalled || w.clock != nil || mean == 0 || mean > aloneMean {
		return 1
	}
	n := 2 - w.flight.Len() // whatever they take
	if w.ahead < aheadBulk {
		n = max(n, int((aheadBulk-w.ahead)/mean))
	}
	n = min(n, laneAhead-w.flight.Len())
	if p.cfg.Recycle > 0 {
		n = min(n, p.cfg.Recycle-w.rows)
	}
	return max(n, 1)
}

// endInPiece applies the result of the front, which belongs to a piece. p.mu is held.
func (p *Pool) endInPiece(b *batch, w *worker, r *link.Row, res *ring.Result) error {
	i, ok := w.flight.AnswerPiece(r, res.Call)
	if !ok {
		return notNext(res.Call)
	}
	w.lane.Rows.Ended(1)
	p.heard(b, w, r, 1, res.Time)
	p.ran(w, r, i, 1, res.Time, false).Done++
	b.released++
	r.EndAtOnce(i, res.Body)
	r.Pack.Owner.Told()
	return nil
}

// drainPiece reads up to most results of the rows of a piece that the front belongs to, and returns how many it has read, the end
// of a row that has become its own included; afterRead must follow. p.mu is held.
func (p *Pool) drainPiece(b *batch, w *worker, r *link.Row, most int) (n int) {
	var alike pieceEnds
	defer func() {
		p.endAlike(b, w, r, alike)
		if n > 0 {
			r.Pack.Owner.Told()
		}
	}()
	for n < most && w.flight.Piece() == r {
		res, ok, err := w.lane.Results.Next()
		if err == nil && ok {
			n++
			switch {
			case wire.Kind(res.Kind) != wire.KindResult, time.Duration(res.Time) > p.account.least, w.mark.call != 0 || w.clock != nil:
				p.endAlike(b, w, r, alike)
				alike = pieceEnds{}
				if err = p.laneEvent(b, w, &res); err == nil && w.elsewhere {
					return n // that one's end comes first
				}
			default:
				i, ok := w.flight.AnswerPiece(r, res.Call)
				if !ok {
					err = notNext(res.Call)
					break
				}
				if alike.time != res.Time {
					p.endAlike(b, w, r, alike)
					alike = pieceEnds{first: i, time: res.Time}
				}
				alike.n++
				r.EndAtOnce(i, res.Body)
			}
		}
		if err != nil {
			w.corrupt(err)
		}
		if err != nil || !ok {
			return n
		}
	}
	return n
}

func notNext(call uint32) error { return fmt.Errorf("the end of call %d, which is not the next", call) }

// pieceEnds are ends of rows of a piece that took as long as each other.
type pieceEnds struct {
	first, n int
	time     uint64 // ns
}

// endAlike ends rows of a piece whose owners have taken their results. p.mu is held.
func (p *Pool) endAlike(b *batch, w *worker, r *link.Row, e pieceEnds) {
	if e.n == 0 {
		return
	}
	w.lane.Rows.Ended(e.n)
	b.released += e.n
	p.heard(b, w, r, e.n, e.time)
	p.ran(w, r, e.first, e.n, e.time, false).Done += uint64(e.n)
}

// pieceGivenBack has rows of a pack that their worker has not begun wait again. p.mu is held.
func (p *Pool) pieceGivenBack(b *batch, w *worker, r *link.Row) {
	n := r.Count()
	if p.over {
		for range n {
			p.givenBack(b, w, r.TakeFirst())
		}
		return
	}
	w.rows -= n
	w.ahead -= min(w.ahead, uint64(n)*uint64(r.Charge))
	if r.Pack.Of.Cut != nil {
		p.cutPiece(r)
		return
	}
	p.stats.TakenBack += uint64(n)
	p.any.put(r)
}
