package mpi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// look is what is known of a rank at one moment.
type look struct {
	ended bool
	stuck bool
	epoch uint64
	tails []uint64 // up to where it has put letters for each rank
	read  []uint64 // up to where it has read those of each rank
}

// watch finds deadlocks until ctx ends. It sleeps until a rank says that it is stuck.
//
// A deadlock is certain when each rank has returned or is stuck, and has read all that the others sent it; seen twice, with no rank
// having gone on between the two looks. Then nothing can have happened between the end of the first look and the begin of the second: who
// is stuck acts only on a letter, and there was none. (The double look is Mattern's, "Algorithms for distributed termination detection", 1987.)
func (p *program) watch(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { p.mesh.Poke(p.size) })
	defer stop()
	for ctx.Err() == nil {
		if first := p.look(); stands(first) {
			if stands(p.look()) && slices.EqualFunc(first, p.look(), look.same) {
				p.board.condemn(p.why(first))
				p.poke()
				return
			}
		}
		p.mesh.Nap(p.size, time.Hour, func() bool { return ctx.Err() != nil || stands(p.look()) })
	}
}

// look looks at all ranks.
func (p *program) look() []look {
	all := make([]look, p.size)
	for r := range all {
		n := p.board.ranks[r]
		l := look{ended: n[noteEnd].Load() != 0, stuck: n[noteStuck].Load() == 1, epoch: n[noteEpoch].Load()}
		for o := range p.size {
			tail := uint64(0)
			if o != r {
				tail = p.mesh.Tail(r, o)
			}
			l.tails, l.read = append(l.tails, tail), append(l.read, n[notePos+o].Load())
		}
		all[r] = l
	}
	return all
}

// stands reports whether every rank has ended or is stuck, one at least is, and nothing is on its way to those that are.
func stands(all []look) bool {
	some := false
	for r, l := range all {
		if l.ended {
			continue
		}
		if !l.stuck {
			return false
		}
		some = true
		for o, other := range all {
			if o != r && other.tails[r] != l.read[o] {
				return false
			}
		}
	}
	return some
}

func (l look) same(o look) bool {
	return l.ended == o.ended && l.stuck == o.stuck && l.epoch == o.epoch && slices.Equal(l.tails, o.tails) && slices.Equal(l.read, o.read)
}

// why says who waits for what.
func (p *program) why(all []look) string {
	var s []string
	for r, l := range all {
		if l.ended {
			s = append(s, fmt.Sprintf("rank %d has ended", r))
			continue
		}
		s = append(s, fmt.Sprintf("rank %d waits in %s", r, getText(p.board.ranks[r][noteWaits:], waitWords)))
	}
	return strings.Join(s, "; ")
}

func (p *program) poke() {
	for r := range p.size {
		p.mesh.Poke(r)
	}
}
