package proc

import (
	"slices"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

// seat is one rank of a pool: a process, and its replacements after it. Its fields
// are guarded by the pool's lock.
type seat struct {
	rank int
	w    *worker    // nil between two processes
	own  queue      // rows for this rank alone
	sets []*rankSet // the sets it is in
	done uint64

	down   time.Time // since when it has no process that is ready; zero: it has one
	tries  int       // starts that failed, one after another
	since  time.Time // of the first of these
	broken bool      // rows that need it end with the reason
	young  int       // processes that died one after another before they had run a row

	closing bool   // it takes no more rows but those accepted for it
	retired bool   // and has no process any more
	mourned bool   // its process has died and is not replaced; it is closing until that was reaped
	until   uint64 // the last row accepted before it was closing
	why     error  // it was retired for; nil: it was asked for
}

const (
	// setAside is how many workers a row may cost before it ends as the reason.
	setAside = 3
	// A rank is broken when startTries starts in a row have failed, over startTime at
	// least: rows that need it then end with the reason.
	startTries = 3
	startTime  = 250 * time.Millisecond
	// mayDieYoung is how many processes of a rank may die one after another before
	// they have run a row and be replaced without a pause.
	mayDieYoung = 2
	// spareDelay is how long after Open the first spares are started: they shall
	// not slow down the pool's own start. While every rank has a row they wait on,
	// for spareLatest in all: a pool that does one job and is closed needs none, and
	// their start takes time from its rows.
	spareDelay  = 100 * time.Millisecond
	spareLatest = time.Second
)

// backOff is the pause before the next start after n that came to nothing.
func backOff(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	return min(time.Second, time.Millisecond<<min(n, 10))
}

// startFor starts a process for a seat. p.mu is held.
func (p *Pool) startFor(s *seat, after time.Duration) {
	w := newWorker(p, s.rank)
	w.seat, s.w = s, w
	s.goesDown()
	p.launch(w, after)
	p.tellNews()
}

// launch runs a worker's life on a goroutine of the pool. p.mu is held.
func (p *Pool) launch(w *worker, after time.Duration) {
	p.all[w] = struct{}{}
	if !p.group.Go(w.run(after)) {
		delete(p.all, w)
	}
}

// fill gives a seat that lost its process another: a spare if one is ready. p.mu
// is held.
func (p *Pool) fill(b *batch, s *seat) {
	if p.over || s.closing && (s.mourned || p.next(s) == nil) {
		s.w = nil // of those that are closing settle takes care
		p.tellNews()
		return
	}
	p.stats.Restarts++
	switch {
	case len(p.spares) > 0 && s.young <= mayDieYoung:
		w := p.takeSpare()
		w.seat, s.w = s, w
		s.tries, s.broken = 0, false
		p.isUp(s)
		w.take(b, s.rank)
		p.tellNews()
	default:
		p.startFor(s, max(backOff(s.young-mayDieYoung), backOff(s.tries)))
	}
}

// takeSpare takes the longest ready spare off the list, and sees that there will be
// another. p.mu is held.
func (p *Pool) takeSpare() *worker {
	w := p.spares[0]
	p.spares = slices.Delete(p.spares, 0, 1)
	w.spare = false
	p.badSpares = 0
	p.wantSpares()
	return w
}

// take makes a spare the worker of a rank. p.mu is held.
func (w *worker) take(b *batch, rank int) {
	w.rank = rank
	w.conn.Send(link.Frame{Kind: wire.KindSeat, Call: uint64(rank)})
	b.flush(w.conn)
}

// vacate takes a worker from its seat, which gets another. p.mu is held.
func (p *Pool) vacate(b *batch, w *worker) {
	if s := w.seat; s != nil {
		w.seat = nil
		p.fill(b, s)
	}
}

// retire lets an idle worker go and fills its seat. p.mu is held.
func (p *Pool) retire(b *batch, w *worker) {
	w.leave(b)
	p.vacate(b, w)
	p.drop(w)
}

// drop takes a worker off the lists of those that have no seat. p.mu is held.
func (p *Pool) drop(w *worker) {
	is := func(o *worker) bool { return o == w }
	p.spares = slices.DeleteFunc(p.spares, is)
	p.extras = slices.DeleteFunc(p.extras, is)
}

// wantSparesSoon starts the first spares once the pool's start is over.
func (p *Pool) wantSparesSoon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cfg.Spares == 0 || p.over {
		return
	}
	latest := time.Now().Add(spareLatest)
	p.sparesIn = time.AfterFunc(spareDelay, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.over && p.live >= p.open && time.Now().Before(latest) {
			p.sparesIn.Reset(spareDelay)
			return
		}
		p.sparing = true
		p.wantSpares()
	})
}

// wantSpares starts as many spares as are missing. p.mu is held.
func (p *Pool) wantSpares() {
	if !p.sparing || p.over || p.open+p.closing == 0 {
		return
	}
	coming := len(p.spares)
	for w := range p.all {
		if w.spare && !w.ready && !w.ending {
			coming++
		}
	}
	for ; coming < p.cfg.Spares && p.processes() < p.cfg.MaxProcesses; coming++ {
		w := newWorker(p, p.freeRank())
		w.spare = true
		p.launch(w, backOff(p.badSpares))
	}
}

// processes counts the processes that are not on their way out. p.mu is held.
func (p *Pool) processes() int {
	n := 0
	for w := range p.all {
		if !w.leaving && !w.ending {
			n++
		}
	}
	return n
}

// freeRank returns the lowest rank above Workers that no process has. p.mu is held.
func (p *Pool) freeRank() int {
	taken := map[int]bool{}
	for w := range p.all {
		taken[w.rank] = true
	}
	rank := len(p.seats) + 1
	for taken[rank] {
		rank++
	}
	return rank
}

// notStarted records that w did not start. Rows that nobody can run any more end
// with the reason; a seat goes on trying. p.mu is held.
func (p *Pool) notStarted(b *batch, w *worker, err error) {
	select {
	case p.up <- err:
	default:
	}
	p.drop(w)
	if w.spare {
		p.badSpares++
	}
	if r := w.pending; r != nil {
		w.pending, r.Where = nil, nil
		if r.Lost++; w.pid != 0 && r.Lost < setAside && !p.over {
			p.enqueue(b, r) // the process ended, for whatever reason, before it had the row
		} else {
			p.end(b, r, link.Outcome{Err: err})
		}
	}
	s := w.seat
	if s == nil {
		return
	}
	if s.tries++; s.tries == 1 {
		s.since = time.Now()
	}
	if s.tries >= startTries && time.Since(s.since) >= startTime {
		p.breakSeat(b, s, err)
	}
	w.seat = nil
	if p.cfg.Kind.Mortal && !p.over {
		p.mourn(s)
		p.lose(b, s, err)
		return
	}
	p.fill(b, s)
}

// breakSeat ends the rows that only ranks that do not start could run. p.mu is
// held.
func (p *Pool) breakSeat(b *batch, s *seat, err error) {
	s.broken = true
	all := true
	for _, o := range p.seats {
		all = all && (o.broken || o.retired)
	}
	if !all {
		for _, r := range s.own.rows() { // it waits here, and may run elsewhere
			if len(r.On) == 0 || slices.ContainsFunc(r.On, func(rank int) bool { return !p.seats[rank-1].broken && !p.seats[rank-1].retired }) {
				p.unqueue(r)
				p.enqueue(b, r)
			}
		}
	}
	hopeless := []*queue{&s.own}
	for _, set := range s.sets {
		whole := !slices.ContainsFunc(set.ranks, func(r int) bool { return !p.seats[r-1].broken && !p.seats[r-1].retired })
		if whole {
			hopeless = append(hopeless, &set.queue)
		}
	}
	if all {
		hopeless = append(append(hopeless, &p.any), p.nested...)
	}
	for _, q := range hopeless {
		for _, r := range q.rows() {
			p.unqueue(r)
			p.end(b, r, link.Outcome{Err: err})
		}
	}
}
