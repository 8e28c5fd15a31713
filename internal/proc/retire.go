package proc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xenonmp/xme/internal/link"
)

// A rank that is asked to retire is closing: it takes no more rows but those that were
// accepted for it. They are its own, and those for several ranks that it is one of, as far
// as no other takes them first; and once no rank is open, those for any. When there are
// none of them, and none that may come back (a row that is tried again, or that a dead
// process had not begun), its process goes, and it is retired.
//
//	open ──Retire──► closing ──its rows have ended──► retired
//	  └──its process died, and is not replaced: its rows end with that──┘

// RetiredError says that a row names ranks that take no more.
type RetiredError struct {
	Ranks []int // nil: all are closed
	Why   error // the rank was retired for; nil: it was asked for
}

func (e *RetiredError) Error() string {
	s := "all ranks are closed"
	switch len(e.Ranks) {
	case 0:
	case 1:
		s = fmt.Sprintf("rank %d is closed", e.Ranks[0])
	default:
		s = fmt.Sprintf("ranks %s are closed", strings.Trim(fmt.Sprint(e.Ranks), "[]"))
	}
	if e.Why != nil {
		s += ": " + e.Why.Error()
	}
	return s
}

// Unwrap returns ErrClosed.
func (e *RetiredError) Unwrap() error { return ErrClosed }

// retiredError makes the error of a row for ranks that are all closed; nil: any rank. p.mu
// is held.
func (p *Pool) retiredError(on []int) error {
	e := &RetiredError{Ranks: slices.Compact(slices.Sorted(slices.Values(on)))}
	if len(e.Ranks) == 1 {
		e.Why = p.seats[e.Ranks[0]-1].why
		if p.cfg.Kind.Mortal && e.Why != nil {
			return e.Why // nobody has closed it
		}
	}
	return e
}

// CheckRanks reports whether one of ranks names no worker of this pool, or all are closed.
func (p *Pool) CheckRanks(ranks []int) error {
	if err := p.checkExist(ranks); err != nil || !p.someClosed.Load() {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.checkOpen(ranks)
}

// checkExist reports whether one of ranks names no worker of this pool.
func (p *Pool) checkExist(ranks []int) error {
	for _, r := range ranks {
		switch {
		case r == 0 && p.cfg.Kind.Main:
			return fmt.Errorf("rank 0 is main, which makes calls and runs none: name ranks from 1 to %d: %w", len(p.seats), errors.ErrUnsupported)
		case r < 1 || r > len(p.seats):
			return fmt.Errorf("rank %d does not exist: this pool has ranks 1 to %d: %w", r, len(p.seats), errors.ErrUnsupported)
		}
	}
	return nil
}

// checkOpen reports whether all of ranks are closed. p.mu is held.
func (p *Pool) checkOpen(ranks []int) error {
	if len(ranks) == 0 || p.open == len(p.seats) {
		return nil
	}
	if slices.ContainsFunc(ranks, func(r int) bool { return !p.seats[r-1].closing }) {
		return nil
	}
	return p.retiredError(ranks)
}

// homeless reports whether no rank is left that could run r. p.mu is held.
func (p *Pool) homeless(r *link.Row) bool {
	switch {
	case len(r.On) > 0:
		return !slices.ContainsFunc(r.On, func(rank int) bool { return !p.seats[rank-1].retired })
	case r.Service || r.Nest != nil: // it has a process beside the ranks
		return false
	}
	return p.open+p.closing == 0
}

// Retire lets no more rows in for ranks, all if none is given, and returns when those that
// were accepted for them have ended and their processes have too, or ctx's cause; then they
// are closing all the same.
func (p *Pool) Retire(ctx context.Context, ranks ...int) error {
	if err := p.checkExist(ranks); err != nil {
		return err
	}
	b := batch{p: p}
	p.mu.Lock()
	if len(ranks) == 0 {
		for _, s := range p.seats {
			ranks = append(ranks, s.rank)
		}
	}
	for _, r := range ranks {
		p.close(p.seats[r-1])
	}
	p.settle(&b)
	p.mu.Unlock()
	b.run()
	for {
		p.mu.Lock()
		gone := !slices.ContainsFunc(ranks, func(r int) bool { return !p.isGone(p.seats[r-1]) })
		news := p.awaitNews()
		p.mu.Unlock()
		if gone {
			return nil
		}
		select {
		case <-news:
		case <-p.ended:
			return nil
		case <-ctx.Done():
			select {
			case <-p.ended:
				return nil
			default:
			}
			return context.Cause(ctx)
		}
	}
}

// close has a seat take no more rows. p.mu is held.
func (p *Pool) close(s *seat) {
	if s.closing {
		return
	}
	s.closing, s.until = true, p.seq
	p.someClosed.Store(true)
	p.open--
	p.closing++
	if p.open == 0 {
		p.wakeWaiting()
	}
}

// isGone reports whether a seat is retired and its processes have been reaped. p.mu is
// held.
func (p *Pool) isGone(s *seat) bool {
	if !s.retired {
		return false
	}
	for w := range p.all {
		if w.rank == s.rank && w.started {
			return false
		}
	}
	return true
}

// nextOfClosing is next for a seat that is closing. p.mu is held.
func (p *Pool) nextOfClosing(s *seat) *link.Row {
	r := s.own.head
	for _, set := range s.sets {
		if o := set.head; o != nil && o.Seq <= s.until && (r == nil || before(o, r)) {
			r = o
		}
	}
	if o := p.any.head; p.open == 0 && o != nil && o.Seq <= s.until && (r == nil || before(o, r)) {
		r = o
	}
	return r
}

// retireSpent retires the seats that are closing and have nothing to do any more, and
// gives those that have, and no process, another. p.mu is held.
func (p *Pool) retireSpent(b *batch) {
	for _, s := range p.seats {
		if !s.closing || s.retired || s.mourned {
			continue
		}
		if p.next(s) != nil {
			if s.w == nil {
				p.fill(b, s)
			}
			continue
		}
		if p.returning == 0 && p.isSpent(s) {
			p.retireSeat(b, s)
		}
	}
}

// isSpent reports whether no row of a seat, for which none waits, is under way. p.mu is
// held.
func (p *Pool) isSpent(s *seat) bool {
	for w := range p.all {
		if w.rank == s.rank && w.flight.Len() > 0 && (w.setup == nil || w != s.w) {
			return false
		}
	}
	return true
}

// retireSeat lets the process of a seat go for good. p.mu is held.
func (p *Pool) retireSeat(b *batch, s *seat) {
	s.retired = true
	if f := p.cfg.Kind.Retired; f != nil {
		f(s.rank)
	}
	p.closing--
	p.isUp(s)
	w := s.w
	s.w = nil
	switch {
	case w == nil:
	case w.ready:
		w.seat = nil
		w.leave(b)
	default:
		w.seat, w.leaving = nil, true
		if w.proc != nil {
			w.proc.Kill()
		}
	}
	if p.open+p.closing == 0 {
		for _, spare := range slices.Clone(p.spares) {
			p.retire(b, spare)
		}
	}
	p.tellNews()
}

// mourn notes that the process of a seat has died and is not replaced: lose follows when it
// has been reaped. p.mu is held.
func (p *Pool) mourn(s *seat) {
	p.close(s)
	s.mourned = true
	for _, o := range p.seats { // what it was to run, if one of these may too
		if o.closing {
			o.until = p.seq
		}
	}
}

// lose retires a seat whose process has died, and ends the rows that nobody can run any
// more. p.mu is held.
func (p *Pool) lose(b *batch, s *seat, why error) {
	s.why = why
	s.w = nil
	p.retireSeat(b, s)
	hopeless := []*queue{&s.own}
	for _, set := range s.sets {
		hopeless = append(hopeless, &set.queue)
	}
	if p.open+p.closing == 0 {
		hopeless = append(append(hopeless, &p.any), p.nested...)
	}
	for _, q := range hopeless {
		for _, r := range q.rows() {
			switch {
			case p.homeless(r) || q != &s.own && len(r.On) == 0:
				p.unqueue(r)
				p.endForGood(b, r, link.Outcome{Err: why, Rank: s.rank})
			case q == &s.own: // it was kept for this seat, and may run on others
				p.unqueue(r)
				p.enqueue(b, r)
			}
		}
	}
	p.settle(b)
}

// awaitNews returns a channel that is closed at the next change of a seat: a process that
// is started, ready or gone, a rank that is retired, the pool that is closed. p.mu is held.
func (p *Pool) awaitNews() <-chan struct{} {
	if p.news == nil {
		p.news = make(chan struct{})
	}
	return p.news
}

// tellNews wakes who waits for news. p.mu is held.
func (p *Pool) tellNews() {
	if p.news != nil {
		close(p.news)
		p.news = nil
	}
}

// Look describes the workers, as Workers does, and returns channels that are closed at the
// next change of theirs but for what they run, and when the pool has been closed.
func (p *Pool) Look() (workers []Info, news, closed <-chan struct{}) {
	p.mu.Lock()
	news = p.awaitNews()
	p.mu.Unlock()
	return p.Workers(), news, p.ended
}
