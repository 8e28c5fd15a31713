package mpi_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/mpi"
)

var (
	programSeed  = flag.Uint64("programseed", 1, "TestCollectives: the first programme's seed")
	programCount = flag.Int("programs", 0, "TestCollectives: how many programmes for each number of ranks; 0: few")
)

// Random programmes of collectives, among 1 to 9 ranks, their parts and the parts of these, with messages under way; each
// rank computes from the seed what it must get.
//
// feature: P9
func TestCollectives(t *testing.T) {
	links := map[string]xme.Link{"auto": xme.LinkAuto, "socket": xme.LinkSocket, "pipe": xme.LinkPipe}
	for name, link := range links {
		t.Run(name, func(t *testing.T) {
			for size := 1; size <= 9; size++ {
				count := *programCount
				switch {
				case count > 0:
				case !long.Wanted() && (link != xme.LinkAuto && size != 3 && size != 5 || size > 6 && size < 9):
					continue
				case !long.Wanted():
					count = 2
				case link != xme.LinkAuto:
					count = 3
				default:
					count = 12
				}
				s := series{Seed: *programSeed + uint64(size)<<32, Count: count}
				_, err := mpi.Spawn(t.Context(), mpi.Options{Size: size, Pool: xme.Options{Link: link}}, programs, s)
				if err != nil {
					t.Fatalf("%d ranks: %v", size, err)
				}
			}
		})
	}
}

// series are programmes of seeds from Seed.
type series struct {
	Seed  uint64
	Count int
}

var programs = xme.Register("programs", func(ctx context.Context, s series) (struct{}, error) {
	for i := range s.Count {
		if err := program(ctx, s.Seed+uint64(i)); err != nil {
			return struct{}{}, fmt.Errorf("-programseed %d: rank %d: %w", s.Seed&(1<<32-1)+uint64(i), mpi.From(ctx).Rank(), err)
		}
	}
	return struct{}{}, nil
})

// program is a programme, in one rank. What all ranks do alike is decided by rnd, which is the same in all.
func program(ctx context.Context, seed uint64) error {
	rnd := rand.New(rand.NewPCG(seed, 1))
	teams := []*team{whole(mpi.From(ctx))}
	for level := range 3 {
		for step := range 4 + rnd.IntN(12) {
			on := teams[rnd.IntN(len(teams))]
			w := walk{rnd: rand.New(rand.NewPCG(rnd.Uint64(), 0)), seed: rnd.Uint64(), team: on}
			if err := w.step(ctx, teams); err != nil {
				return fmt.Errorf("level %d, step %d, %v: %w", level, step, on, err)
			}
		}
		if level == 2 {
			return nil
		}
		part, err := split(ctx, teams[len(teams)-1], rnd)
		if err != nil {
			return fmt.Errorf("level %d: %w", level, err)
		}
		teams = append(teams, part)
	}
	return nil
}

// team is a communicator and who is in it.
type team struct {
	c       *mpi.Comm
	members []int   // by rank, their ranks in the world; empty if this rank is in none
	all     [][]int // of all communicators that the same Split made
}

func whole(c *mpi.Comm) *team {
	t := &team{c: c}
	for r := range c.Size() {
		t.members = append(t.members, r)
	}
	t.all = [][]int{t.members}
	return t
}

func (t *team) String() string { return fmt.Sprintf("among %v", t.members) }

// split splits the communicators of a team at random, and checks what it gets.
func split(ctx context.Context, of *team, rnd *rand.Rand) (*team, error) {
	part, own := &team{}, rnd.IntN(2) == 0
	for _, members := range of.all {
		colors, keys := make([]int, len(members)), make([]int, len(members))
		for r := range members {
			colors[r], keys[r] = rnd.IntN(4)-1, rnd.IntN(3)
			if own {
				colors[r] = max(colors[r], 0) // all are in one
			}
		}
		for color := range 3 {
			var in []int
			for r := range members {
				if colors[r] == color {
					in = append(in, r)
				}
			}
			slices.SortStableFunc(in, func(a, b int) int { return keys[a] - keys[b] })
			for i, r := range in {
				in[i] = members[r]
			}
			if len(in) > 0 {
				part.all = append(part.all, in)
			}
		}
		if of.c == nil || !slices.Equal(members, of.members) {
			continue
		}
		r := of.c.Rank()
		var err error
		if part.c, err = of.c.Split(ctx, colors[r], keys[r]); err != nil {
			return nil, fmt.Errorf("split: %w", err)
		}
		if (part.c == nil) != (colors[r] < 0) {
			return nil, fmt.Errorf("split: color %d gave the communicator %v", colors[r], part.c)
		}
	}
	if part.c == nil {
		return part, nil
	}
	me := mpi.From(ctx).Rank()
	for _, members := range part.all {
		if slices.Contains(members, me) {
			part.members = members
		}
	}
	if part.c.Size() != len(part.members) || part.members[part.c.Rank()] != me {
		return nil, fmt.Errorf("split: rank %d of %d, want it to be that of %d in %v", part.c.Rank(), part.c.Size(), me, part.members)
	}
	return part, nil
}

// walk is a step of a programme: all members take the same one.
type walk struct {
	*team
	rnd  *rand.Rand // what the step is
	seed uint64     // of values
	made int        // of the values that each member has made
}

// step is some collectives, with messages under way or not, or collectives of several teams at once.
func (w *walk) step(ctx context.Context, teams []*team) error {
	if w.rnd.IntN(6) == 0 {
		return together(ctx, teams, w)
	}
	if w.c == nil {
		return nil
	}
	finish := func(context.Context) error { return nil }
	if w.rnd.IntN(3) == 0 {
		finish = w.traffic(ctx)
	}
	for range 1 + w.rnd.IntN(4) {
		if err := w.collective(ctx); err != nil {
			return err
		}
	}
	if err := finish(ctx); err != nil {
		return fmt.Errorf("messages: %w", err)
	}
	return nil
}

// together has each team do collectives of its own, in a goroutine.
func together(ctx context.Context, teams []*team, like *walk) error {
	errs := make(chan error)
	for i, t := range teams {
		w := walk{team: t, rnd: rand.New(rand.NewPCG(like.seed, uint64(i))), seed: like.seed + uint64(i)}
		go func() {
			var err error
			for range 3 {
				if w.c != nil && err == nil {
					err = w.collective(ctx)
				}
			}
			errs <- err
		}()
	}
	var err error
	for range teams {
		err = errors.Join(err, <-errs)
	}
	return err
}

// length is how many elements: few or none as a rule, and now and then many.
func (w *walk) length() int {
	switch k := w.rnd.IntN(100); {
	case k == 0:
		return 1 + w.rnd.IntN(300_000)
	case k < 10:
		return 1 + w.rnd.IntN(10_000)
	case k < 35:
		return w.rnd.IntN(2)
	}
	return w.rnd.IntN(64)
}
