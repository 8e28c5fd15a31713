package main

import (
	"context"
	"slices"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

// part is what a rank comes to: its bodies, and the energy of all.
type part struct {
	Bodies        []body
	Before, After float64
}

// move is a rank.
var move = xme.Register("move", func(ctx context.Context, g game) (part, error) {
	c := mpi.From(ctx)
	first, end := g.N*c.Rank()/c.Size(), g.N*(c.Rank()+1)/c.Size()
	own := g.begin()[first:end]
	before, err := energyOfAll(ctx, c, g, own, first)
	if err != nil {
		return part{}, err
	}
	for range g.Steps {
		drift(own)
		all, err := everywhere(ctx, c, own)
		if err != nil {
			return part{}, err
		}
		g.kick(own, all)
	}
	after, err := energyOfAll(ctx, c, g, own, first)
	return part{Bodies: own, Before: before, After: after}, err
})

// everywhere returns where all bodies are.
func everywhere(ctx context.Context, c *mpi.Comm, own []body) ([]vector, error) {
	at := make([]vector, len(own))
	for i, b := range own {
		at[i] = b.At
	}
	parts, err := mpi.Allgather(ctx, c, at)
	return slices.Concat(parts...), err
}

func energyOfAll(ctx context.Context, c *mpi.Comm, g game, own []body, first int) (float64, error) {
	all, err := everywhere(ctx, c, own)
	if err != nil {
		return 0, err
	}
	return mpi.Allreduce(ctx, c, g.energy(own, first, all), mpi.Sum)
}

// serial is what the ranks do, in one loop.
func (g game) serial() []body {
	bodies, all := g.begin(), make([]vector, g.N)
	for range g.Steps {
		drift(bodies)
		for i, b := range bodies {
			all[i] = b.At
		}
		g.kick(bodies, all)
	}
	return bodies
}
