package proc

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/sys"
)

// What happens when a worker dies, in this order: its process is seen to have
// ended; what other packages hold in its name is swept; its process group is
// killed; what it had sent is read; its seat gets another process and the rows it
// had not begun are queued again; it is reaped; the row that ran fails with the
// cause.

var sweeps struct {
	sync.Mutex
	list []func(pid int)
	off  bool
}

// OnDeath has f called for every worker process that has ended, before its number
// can be used again: to free what it held in memory that others share.
func OnDeath(f func(pid int)) {
	sweeps.Lock()
	defer sweeps.Unlock()
	sweeps.list = append(sweeps.list, f)
}

// NoSweeps has nothing freed any more when a worker dies, so that a soak can show that it sees that.
func NoSweeps() {
	sweeps.Lock()
	defer sweeps.Unlock()
	sweeps.off = true
}

func runSweeps(pid int) {
	sweeps.Lock()
	list := sweeps.list
	if sweeps.off {
		list = nil
	}
	sweeps.Unlock()
	for _, f := range list {
		f(pid)
	}
}

// detach takes a worker whose link has ended out of the pool's sight: nothing is
// sent to it any more, the rows it had not begun wait again, its seat is filled.
func (w *worker) detach() (wasReady bool) {
	p := w.p
	b := batch{p: p}
	p.mu.Lock()
	wasReady = w.ready || w.leaving
	died := w.ready
	w.ready, w.ending = false, true
	begun := p.begunInLane(&b, w)
	front := w.flight.Front()
	if front != nil && front.State() == link.Started {
		begun--
	}
	for r := range w.flight.Unbegun() {
		if r == front && died {
			r.Lost++ // it was next: reading or decoding it may be what kills
		}
		unsaved := begun > 0 || r.Lost >= setAside
		begun--
		if unsaved && r != w.setup && r.Cancelled == nil && r.Unbegun == nil && !(w.leaving && p.over) {
			continue // it ends once the process has been reaped and says how it died
		}
		w.flight.Requeue(r)
		switch {
		case r == w.setup:
		case r.Cancelled != nil:
			p.end(&b, r, link.Outcome{Err: r.Cancelled})
		case r.Unbegun != nil:
			p.end(&b, r, link.Outcome{Err: r.Unbegun})
		case w.leaving && p.over:
			p.end(&b, r, link.Outcome{Err: ErrClosed})
		default:
			p.enqueue(&b, r)
		}
	}
	p.drop(w)
	w.stale = false
	p.dropLane(w)
	w.dropResults()
	if w.spare && died {
		p.badSpares++
	}
	if w.lent {
		w.lent = false
		p.loans--
	}
	if wasReady {
		if s := w.seat; s != nil && died {
			if w.rows == 0 {
				s.young++
			} else {
				s.young = 0
			}
		}
		if s := w.seat; s != nil && died && p.cfg.Kind.Mortal && !p.over {
			w.seat, s.w, w.mourned = nil, nil, s
			p.mourn(s)
		}
		p.vacate(&b, w)
	}
	p.settle(&b)
	p.mu.Unlock()
	b.run()
	return wasReady
}

// begunInLane reads what w had finished, takes back what it had not claimed, and returns
// how many of the rows in flight it had claimed: their ends cannot be known any more, for
// they are on the link or written over with rubbish. p.mu is held.
func (p *Pool) begunInLane(b *batch, w *worker) int {
	if !w.viaLane || w.lane == nil {
		p.sync(b, w)
		if w.begins == nil {
			return 0
		}
		return w.flight.Begun(w.begins.Last()) // the link broke before their ends were read
	}
	unclaimed, err := w.lane.Rows.TakeBack()
	p.sync(b, w)
	if err != nil {
		unclaimed = 0 // the word that would say so is rubbish too
	}
	return max(w.flight.Len()-unclaimed, 0)
}

// lost settles what a process that has been reaped leaves: the row that ran fails.
func (w *worker) lost(exit Exit, why error, wasReady bool) {
	p := w.p
	b := batch{p: p}
	p.mu.Lock()
	started, unsaved := w.flight.Lose()
	exit.Memory = max(exit.Memory, w.most)
	w.begins.Close()
	w.begins, w.noBegun = nil, true
	b.regions = slices.AppendSeq(b.regions, maps.Values(w.keeps))
	w.keeps = nil
	p.shared.used -= w.reserved // the kernel has freed it
	w.reserved = 0
	w.disarm()
	if w.parting != nil {
		w.parting.Stop()
	}
	lost := &LostError{Exit: exit}
	if why != nil && !endsLink(why) && !errors.Is(why, link.ErrClosed) {
		lost.Why = why
	}
	if w.why != nil {
		lost.Why, lost.Killed = w.why, true
	}
	if w.setup != nil {
		killed := new(KilledError)
		wasReady = false
		switch {
		case started == w.setup && errors.As(w.outcomeOf(started, exit, *lost).Err, &killed):
			why = fmt.Errorf("setup: %w", killed)
		case why == nil || endsLink(why):
			why = fmt.Errorf("setup: %w", lost)
		}
		started = nil
		w.setup = nil
	}
	if wasReady && !w.leaving && !p.over {
		p.stats.Deaths++
	}
	if started != nil {
		p.ran(w, started, 0, 1, 0, true)
		p.end(&b, started, w.outcomeOf(started, exit, *lost))
	}
	for _, r := range unsaved {
		p.end(&b, r, w.outcomeOfUnbegun(r, *lost))
	}
	p.abandon(&b, w)
	if s := w.mourned; s != nil && !s.retired {
		p.lose(&b, s, lost)
	}
	p.mu.Unlock()
	b.run()
	if wasReady {
		w.gone(nil)
		return
	}
	switch {
	case !errors.As(why, new(*NoInitError)):
		if !errors.As(why, new(*LostError)) && !errors.As(why, new(*KilledError)) { // it was ended for why
			exit.Code, exit.Signal = 0, ""
		}
	case exit.Signal != "" || exit.Dump != "": // not for want of a call of Init
		why = errors.New(exit.asItStarted() + " as it started")
	default:
		why = &NoInitError{Exit: exit.String()}
	}
	w.gone(&StartError{Rank: w.rank, PID: w.pid, Exit: exit, Err: why})
}

// endsLink reports whether a link's error is that the other side is gone, in the midst of a frame, maybe.
func endsLink(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// outcomeOf says how a row ended whose process ended with it.
func (w *worker) outcomeOf(r *link.Row, exit Exit, lost LostError) link.Outcome {
	o := link.Outcome{Err: &lost, Rank: w.rank, PID: w.pid}
	if r.Cancelled != nil {
		o.Err = &KilledError{Why: r.Cancelled, Exit: exit}
		return o
	}
	limit := w.limitOf(r)
	switch {
	case w.exceeded != nil && exit.Signal == "SIGKILL":
		o.Err = &KilledError{Why: w.exceeded, Exit: exit}
	case limit > 0 && ranOut(exit):
		exit.Memory = max(exit.Memory, limit) // it asked for more
		o.Err = &KilledError{Why: &MemoryError{Limit: limit, Used: exit.Memory}, Exit: exit}
	}
	if r.Tireless {
		return o
	}
	if r.Kills++; r.Keep && r.Kills >= setAside {
		lost.Deaths, lost.Begun = r.Kills, true
	}
	return o
}

// outcomeOfUnbegun says how a row ended that was not seen to begin and is not queued
// again: it was the last straw, or its end cannot be known.
func (w *worker) outcomeOfUnbegun(r *link.Row, lost LostError) link.Outcome {
	switch {
	case r.Cancelled != nil:
		return link.Outcome{Err: r.Cancelled}
	case r.Unbegun != nil:
		return link.Outcome{Err: r.Unbegun}
	case r.Lost >= setAside:
		lost.Deaths = r.Lost
	}
	return link.Outcome{Err: &lost, Rank: w.rank, PID: w.pid}
}

// ranOut reports whether a process ended because it was given no more memory: its last
// words say so, not what was printed before, and it ended itself.
func ranOut(e Exit) bool {
	const (
		racedCrash = 66 // how the race detector's runtime ends a process
		lastLines  = 3  // in which C's runtime, or Go's before it has a stack to show, says why
	)
	said := e.Dump
	switch {
	case e.OOM:
		return true
	case e.Signal == "SIGKILL":
		return false
	case strings.HasPrefix(said, "SIGABRT: "), strings.HasPrefix(said, "fatal error: newosproc"), said == "" && (e.Signal != "" || e.Code == racedCrash):
		at := len(e.Output)
		for range lastLines + 1 {
			at = max(strings.LastIndexByte(e.Output[:at], '\n'), 0)
		}
		said = e.Output[at:] + said
	}
	_, ok := sys.OutOfMemory(said)
	return ok
}

// gone ends a worker's record; err says why it did not start, nil if it did.
func (w *worker) gone(err error) {
	p := w.p
	b := batch{p: p}
	p.mu.Lock()
	delete(p.all, w)
	w.proc = nil
	if s := w.seat; err == nil && p.over && s != nil && s.w == w { // it was closed before this one was started
		w.seat, s.w = nil, nil
	}
	if err != nil {
		p.notStarted(&b, w, err)
	} else if r := w.pending; r != nil { // the pool was closed first, or it died before it could be sent its row's files
		w.pending, r.Where = nil, nil
		if p.over {
			p.end(&b, r, link.Outcome{Err: ErrClosed})
		} else {
			p.enqueue(&b, r)
		}
	}
	p.wantSpares()
	p.settle(&b)
	p.tellNews()
	p.mu.Unlock()
	b.run()
}
