package proc

import (
	"cmp"
	"slices"
	"time"

	"github.com/xenonmp/xme/internal/link"
)

// What a pool's rows and processes took. Rows bring their own time along; the driver
// has a clock for none of them but those that marks saw.

// FuncStats counts the rows of one function.
type FuncStats struct {
	Done, Failed, Retried uint64
	FailedRuns            uint64        // in a worker, or that ended with it; every row that is done has run too
	Busy, Longest         time.Duration // of runs: in all, and the longest
}

// Slow is a run that took long.
type Slow struct {
	Func   uint16
	Row    int // -1: a call by itself
	Time   time.Duration
	Rank   int
	Failed bool // in the worker, or with it
}

const (
	// slowest is how many of them are kept.
	slowest = 5
	// ownTime is what a run takes at least whose time is its own: shorter ones are
	// measured together.
	ownTime = 4 * time.Microsecond
)

// account is a pool's, guarded by its lock.
type account struct {
	funcs  []FuncStats // by function
	other  FuncStats   // of functions that there are none of
	slow   []Slow      // the slowest first
	least  time.Duration
	opened time.Time
	closed time.Time // zero: Close has not begun

	beside   time.Duration // of runs: not on seats
	down     time.Duration // seats were without a process that is ready
	starting time.Duration // from the start of processes until they were ready
	started  uint64        // processes that were
}

// Account is what the workers of the ranks did with their time.
type Account struct {
	Wall     time.Duration // from Open to now, or to the beginning of Close
	Starting time.Duration // ranks had no process that was ready, all together
	Working  time.Duration // rows ran on ranks, all together
	Start    time.Duration // from a process's start until it was ready, the mean
	Slowest  []Slow        // the slowest first
}

// of returns where a row is counted.
func (a *account) of(r *link.Row) *FuncStats {
	if int(r.Func) < len(a.funcs) {
		return &a.funcs[r.Func]
	}
	return &a.other
}

// ran notes a run of r, or of n rows of a piece from row i on, on w, which said that it took that
// many ns each, and returns where r is counted. Rows that are long, or marked, come by themselves. p.mu is held.
func (p *Pool) ran(w *worker, r *link.Row, i, n int, ns uint64, failed bool) *FuncStats {
	took := time.Duration(ns)
	if w.mark.call == r.Call()+uint64(i) {
		took = p.marked(w, took)
	}
	f := p.account.of(r)
	f.Busy += took * time.Duration(n)
	if took > f.Longest {
		f.Longest = took
	}
	if took > p.account.least || failed || w.seat == nil {
		p.unusual(w, r, i, n, f, took, failed)
	}
	return f
}

// unusual is what is rare of ran.
func (p *Pool) unusual(w *worker, r *link.Row, i, n int, f *FuncStats, took time.Duration, failed bool) {
	if failed {
		f.FailedRuns++
	}
	if w.rank > len(p.seats) {
		p.account.beside += took * time.Duration(n)
	}
	if took > p.account.least {
		p.slow(w, r, i, took, failed)
	}
}

// slow puts a run among the slowest. Services, which run as long as they are let, are
// none of them. p.mu is held.
func (p *Pool) slow(w *worker, r *link.Row, i int, took time.Duration, failed bool) {
	if r.Service {
		return
	}
	s := Slow{Func: r.Func, Row: -1, Time: took, Rank: w.rank, Failed: failed}
	switch {
	case r.Pack != nil:
		s.Row = r.Index(i)
	case p.cfg.RowOf != nil:
		s.Row = p.cfg.RowOf(r)
	}
	a := &p.account
	at, _ := slices.BinarySearchFunc(a.slow, took, func(s Slow, t time.Duration) int { return cmp.Compare(t, s.Time) })
	a.slow = slices.Insert(a.slow, at, s)
	if len(a.slow) >= slowest {
		a.slow = a.slow[:slowest]
		a.least = a.slow[slowest-1].Time
	}
}

// Account returns what the workers did with their time so far.
func (p *Pool) Account() Account {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &p.account
	now := a.closed
	if now.IsZero() {
		now = time.Now()
	}
	s := Account{Wall: now.Sub(a.opened), Starting: a.down, Working: -a.beside, Slowest: slices.Clone(a.slow)}
	s.Working += a.other.Busy
	for _, f := range a.funcs {
		s.Working += f.Busy
	}
	if a.started > 0 {
		s.Start = a.starting / time.Duration(a.started)
	}
	for _, seat := range p.seats {
		w := seat.w
		if !seat.down.IsZero() {
			s.Starting += max(now.Sub(seat.down), 0)
		}
		if w == nil {
			continue
		}
		if r := w.flight.Front(); r != nil && r != w.setup && w.mark.call == r.Call() {
			s.Working += max(now.Sub(w.mark.since), 0) // it runs
		}
	}
	return s
}

// goesDown notes that s has no process that is ready, isUp that it has one. p.mu is held.
func (s *seat) goesDown() {
	if s.down.IsZero() {
		s.down = time.Now()
	}
}

func (p *Pool) isUp(s *seat) {
	if !s.down.IsZero() {
		p.account.down += time.Since(s.down)
		s.down = time.Time{}
	}
}
