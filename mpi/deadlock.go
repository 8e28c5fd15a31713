package mpi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xenonmp/xme/internal/park"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/shm"
)

// ground is what the driver has of its ranks' talk: their memory, or the post.
type ground interface {
	end(rank int, why uint64, text string)                // tells all that a rank has ended
	condemn(text string)                                  // tells all that they wait for each other
	look(over <-chan struct{}) ([]look, error)            // looks at all ranks
	sleep(over <-chan struct{}, enough func([]look) bool) // until a look may show something else
	close()
}

// look is what is known of a rank at one moment.
type look struct {
	ended bool
	end   uint64 // its weight
	knows uint64 // the weights of others' ends that it has taken into account
	dead  bool   // and so has its process
	owes  uint64 // it has messages under way
	stuck bool
	epoch uint64
	tails []uint64 // up to where it has put letters for each rank
	read  []uint64 // up to where it has read those of each rank
	waits string
}

// watch finds deadlocks until over is closed. It sleeps until a rank says that it is stuck.
//
// A deadlock is certain when each rank has returned or is stuck, and has read all that the others sent it; seen twice, with no rank
// having gone on between the two looks. Then nothing can have happened between the end of the first look and the begin of the second: who
// is stuck acts only on a letter, and there was none. (The double look is Mattern's, "Algorithms for distributed termination detection", 1987.)
func watch(g ground, over <-chan struct{}) {
	closed := func() bool {
		select {
		case <-over:
			return true
		default:
			return false
		}
	}
	for !closed() {
		first, err := g.look(over)
		if err == nil && stands(first) {
			var second []look
			if second, err = g.look(over); err == nil && slices.EqualFunc(first, second, look.same) {
				g.condemn(why(first))
				return
			}
		}
		if errors.Is(err, errNoAnswer) { // in time: who is stuck has said so, and says it no more
			continue
		}
		g.sleep(over, stands)
	}
}

// stands reports whether every rank has ended or is stuck, one at least whose function runs, and nothing is on its way to those that are. Those
// that are dead have sent what they have sent: who is stuck has slept since. Who is stuck has taken into account who has ended: it is not about to be told.
func stands(all []look) bool {
	some, ends := false, uint64(0)
	for _, l := range all {
		ends += l.end
	}
	for r, l := range all {
		if l.done() {
			continue
		}
		if !l.stuck || l.knows != ends-l.end {
			return false
		}
		some = some || !l.ended
		for o, other := range all {
			if o != r && !other.dead && other.tails[r] != l.read[o] {
				return false
			}
		}
	}
	return some
}

// done reports whether a rank does nothing any more. One that has returned with messages under way does, as one that waits.
func (l look) done() bool { return l.dead || l.ended && l.owes == 0 }

func (l look) same(o look) bool {
	return l.end == o.end && l.knows == o.knows && l.ended == o.ended && l.dead == o.dead && l.owes == o.owes && l.stuck == o.stuck && l.epoch == o.epoch && slices.Equal(l.tails, o.tails) && slices.Equal(l.read, o.read)
}

// why says who waits for what.
func why(all []look) string {
	var s []string
	for r, l := range all {
		if l.ended {
			s = append(s, fmt.Sprintf("rank %d has ended", r))
			continue
		}
		s = append(s, fmt.Sprintf("rank %d waits in %s", r, l.waits))
	}
	return strings.Join(s, "; ")
}

// shared is the ground where ranks share memory.
type shared struct {
	mem   *shm.Array[byte]
	mesh  *ring.Mesh
	board board
	size  int
}

func newShared(in *joining) (*shared, error) {
	mem, err := shm.NewArray[byte](ring.MeshSize(in.Size, notes(in.Size), in.Area))
	if err != nil {
		return nil, err
	}
	in.Mem = mem
	m := ring.NewMesh(mem.Slice(), in.Size, notes(in.Size), in.Area, park.Waits{})
	return &shared{mem, m, newBoard(m, in.Size), in.Size}, nil
}

func (s *shared) close() { _ = s.mem.Close() }

func (s *shared) end(rank int, why uint64, text string) {
	s.board.end(rank, why, text)
	s.poke()
	s.mesh.Poke(s.size) // the others may wait for each other now
}

func (s *shared) condemn(text string) {
	s.board.condemn(text)
	s.poke()
}

func (s *shared) poke() {
	for r := range s.size {
		s.mesh.Poke(r)
	}
}

func (s *shared) look(<-chan struct{}) ([]look, error) {
	all := make([]look, s.size)
	for r := range all {
		n := s.board.ranks[r]
		how := n[noteEnd].Load() // once, so that all that follows from it is of one moment
		l := look{
			end: end{how: how}.weight(), knows: n[noteKnows].Load(), epoch: n[noteEpoch].Load(), ended: how != 0, dead: how >= endDied, owes: n[noteOwes].Load(), stuck: n[noteStuck].Load() == 1,
			waits: getText(n[noteWaits:], waitWords), tails: make([]uint64, s.size), read: make([]uint64, s.size),
		}
		for o := range s.size {
			if o != r {
				l.tails[o] = s.mesh.Tail(r, o)
			}
			l.read[o] = n[notePos+o].Load()
		}
		all[r] = l
	}
	return all, nil
}

func (s *shared) sleep(over <-chan struct{}, enough func([]look) bool) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-over:
			s.mesh.Poke(s.size)
		case <-ctx.Done():
		}
	}()
	s.mesh.Nap(s.size, time.Hour, func() bool {
		select {
		case <-over:
			return true
		default:
		}
		all, _ := s.look(nil)
		return enough(all)
	})
	cancel()
	<-done
}

func (p *posted) sleep(over <-chan struct{}, _ func([]look) bool) {
	select {
	case <-over:
	case <-p.stirred:
	}
}

func (p *posted) close() { p.stop() }

var errNoAnswer = errors.New("no answer")
