package proc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xenonmp/xme/internal/link"
)

// DepthError says that a call that a task made cannot run.
type DepthError struct {
	Chain  []string // the functions, the outermost first
	Limit  int      // MaxProcesses
	Pinned []int    // the ranks it was to run on, which wait for each other
}

func (e *DepthError) Error() string {
	chain := e.Chain
	more := ""
	if n := len(chain); n > 8 {
		chain = slices.Concat(chain[:4], []string{fmt.Sprintf("… (%d more)", n-7)}, chain[n-3:])
		more = fmt.Sprintf(", %d deep", n)
	}
	s := strings.Join(chain, " → ") + more
	if e.Pinned != nil {
		return fmt.Sprintf("%s: the workers of ranks %v all wait for each other", s, e.Pinned)
	}
	return fmt.Sprintf("%s: all %d processes wait for calls of their own, or serve: raise Options.MaxProcesses, or nest less", s, e.Limit)
}

// unlock ends calls of tasks that can never run: those for any worker if every
// process waits for calls of its own, and those for given ranks whose tasks all
// wait for each other. p.mu is held.
func (p *Pool) unlock(b *batch) {
	if p.loans == 0 || p.waitingNested() == nil && p.pinned == 0 {
		return
	}
	// A worker is stuck unless a call of its task can get on; found from the
	// outside in: start with all that wait and take out who is not stuck.
	stuck := map[*worker]bool{}
	free := p.processes() < p.cfg.MaxProcesses || len(p.spares) > 0 || p.onTheWay() != nil
	for w := range p.all {
		switch {
		case w.lent:
			stuck[w] = true
		case p.runsOwnOnly(w): // neither now nor once its row has ended
		case w.runsTask() || w.ready && w.flight.Len() == 0 || !w.ready:
			free = true // a process that will run, or take, another row
		}
	}
	if free && p.pinned == 0 {
		return
	}
	for again := true; again; {
		again = false
		for w := range stuck {
			if slices.ContainsFunc(mapValues(w.children), func(r *link.Row) bool { return p.canRun(r, stuck, free) }) {
				delete(stuck, w)
				again = true
				free = free || !p.runsOwnOnly(w) // it will end
			}
		}
	}
	for w := range stuck {
		for _, r := range mapValues(w.children) {
			if r.State() != link.Queued {
				continue
			}
			e := &DepthError{Chain: p.chain(r), Limit: p.cfg.MaxProcesses}
			if len(r.On) > 0 {
				e.Pinned = r.On
			}
			p.unqueue(r)
			p.end(b, r, link.Outcome{Err: e})
		}
	}
}

// runsOwnOnly reports whether w runs what was aimed at its rank, and never a call of a task.
func (p *Pool) runsOwnOnly(w *worker) bool { return p.cfg.Kind.Mortal && w.seat != nil }

// canRun reports whether a call of a task runs, or may run, without one of the
// stuck workers. p.mu is held.
func (p *Pool) canRun(r *link.Row, stuck map[*worker]bool, free bool) bool {
	switch r.State() {
	case link.Queued:
		if len(r.On) == 0 {
			return free
		}
		return slices.ContainsFunc(r.On, func(rank int) bool {
			s := p.seats[rank-1]
			return !s.retired && !(s.closing && r.Seq > s.until) && !stuck[s.w]
		})
	case link.Sent, link.Started:
		return !stuck[r.Flight().Tag.(*worker)]
	case link.Ended:
	}
	return true // its end is on the way
}

func mapValues(m map[uint64]*link.Row) []*link.Row {
	list := make([]*link.Row, 0, len(m))
	for _, r := range m {
		list = append(list, r)
	}
	return list
}
