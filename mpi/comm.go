package mpi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
)

// Comm is a communicator: a group of ranks, and the means by which they communicate. All its
// methods, and the functions that take it, may be called concurrently, except that the collectives
// of one communicator must be called one after the other, and in the same order by all its ranks.
//
// The communicator of Run's main is an executor: its calls run on the other ranks. Those of Spawn's
// ranks carry messages and collectives, and make no calls.
type Comm struct {
	calls *calls // Run's main
	group *group // a rank of Spawn
}

// group is a rank's end of a communicator.
type group struct {
	w     *world
	id    uint32 // all members', and nobody else's who has one of them
	ranks []int  // its members, by rank: their ranks in the world
	rank  int
	done  <-chan struct{} // what ends the rank's function

	turns atomic.Uint32 // collectives begun

	last atomic.Value // a lastKind: of the type that was used last
}

// own is the world of this process, once it is a rank of Spawn's.
var own struct {
	sync.Mutex
	w      *world
	splits int // that this rank has begun
}

// mostComms bounds the numbers of communicators: two of a letter's are of one communicator.
const mostComms = 1<<31 - 1

// From returns the communicator of all ranks if called in one of Spawn's; elsewhere it returns one
// whose methods and messages fail with an error that says so. It never returns nil.
func From(ctx context.Context) *Comm {
	own.Lock()
	defer own.Unlock()
	w := own.w
	if w == nil || xme.Rank(ctx) != w.rank+1 {
		return &Comm{}
	}
	if w.all == nil {
		g := &group{w: w, rank: w.rank}
		if task, ok := ctx.Value(proc.TaskKey{}).(context.Context); ok {
			g.done = task.Done()
		}
		for r := range w.size {
			g.ranks = append(g.ranks, r)
		}
		w.all = g
	}
	return &Comm{group: w.all}
}

// Rank returns the caller's rank in the communicator, from 0; also 0 if c is neither Run's nor
// Spawn's.
func (c *Comm) Rank() int {
	if c != nil && c.group != nil {
		return c.group.rank
	}
	return 0
}

// Size returns the number of ranks in the communicator; 0 if c is neither Run's nor Spawn's.
func (c *Comm) Size() int {
	switch {
	case c == nil:
		return 0
	case c.group != nil:
		return len(c.group.ranks)
	case c.calls != nil:
		return c.calls.size
	}
	return 0
}

// String describes the communicator.
func (c *Comm) String() string {
	if c.Size() > 0 {
		return fmt.Sprintf("mpi.Comm(rank %d of %d)", c.Rank(), c.Size())
	}
	return "mpi.Comm(none)"
}

// Split divides the ranks into new communicators, one for each color, and ranks them there by key,
// or by their old rank if keys are equal. It is a collective. A rank that gives a negative color
// gets a nil communicator.
func (c *Comm) Split(ctx context.Context, color, key int) (*Comm, error) {
	check(ctx, acts[actSplit])
	g, err := c.ranks()
	if err != nil {
		return nil, err
	}
	// Rank 0's number is the new communicators': no other rank of the world gives that, nor does it once more.
	own.Lock()
	own.splits++
	id := own.splits*g.w.size + g.w.rank
	own.Unlock()
	if id > mostComms {
		return nil, errors.New("mpi: Split: there have been too many communicators")
	}
	all, err := allgather(g.collective(ctx, actSplit), kindOf[[3]int](), [3]int{color, key, id})
	if err != nil {
		return nil, err
	}
	if color < 0 {
		return nil, nil //nolint:nilnil // it is in no group, which is what it asked for
	}
	var members []int
	for r, a := range all {
		if a[0] == color {
			members = append(members, r)
		}
	}
	slices.SortStableFunc(members, func(a, b int) int { return cmp.Compare(all[a][1], all[b][1]) })
	n := &group{w: g.w, id: uint32(all[0][2]), rank: slices.Index(members, g.rank), done: g.done}
	for _, r := range members {
		n.ranks = append(n.ranks, g.ranks[r])
	}
	return &Comm{group: n}, nil
}

// ranks returns the group, or why there is none.
func (c *Comm) ranks() (*group, error) {
	switch {
	case c == nil:
		return nil, errors.New("mpi: the communicator is nil")
	case c.group != nil:
		return c.group, nil
	case c.calls != nil:
		return nil, fmt.Errorf("mpi: ranks of Run make calls, and send no messages: use Spawn: %w", errors.ErrUnsupported)
	}
	return nil, errNoRank
}

// member returns the world's rank of a rank that a message goes to, or comes from.
func (g *group) member(rank int, wild bool) (int, error) {
	if wild && rank == AnySource {
		return AnySource, nil
	}
	if rank < 0 || rank >= len(g.ranks) {
		return 0, fmt.Errorf("rank %d does not exist: this communicator has ranks 0 to %d", rank, len(g.ranks)-1)
	}
	return g.ranks[rank], nil
}

// rankOf returns the rank of a member.
func (g *group) rankOf(member int) int { return slices.Index(g.ranks, member) }
