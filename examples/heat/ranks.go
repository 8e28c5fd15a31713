package main

import (
	"context"
	"slices"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

// field is what ranks come to: rank 0 has the grid, all have the rest.
type field struct {
	Grid            []float64
	Hottest, Change float64
}

// spread is a rank: rows first to end of the plate, and a row of each neighbour, or an edge, around them.
var spread = xme.Register("spread", func(ctx context.Context, w plate) (field, error) {
	c := mpi.From(ctx)
	first, end := w.N*c.Rank()/c.Size(), w.N*(c.Rank()+1)/c.Size()
	now, next := w.begin(first, end), make([]float64, (end-first+2)*w.width())
	var change float64
	for range w.Steps {
		if err := exchange(ctx, c, now, w.width()); err != nil {
			return field{}, err
		}
		change = w.step(next, now)
		now, next = next, now
	}
	inner := now[w.width() : len(now)-w.width()]
	parts, err := mpi.Gather(ctx, c, 0, inner)
	if err != nil {
		return field{}, err
	}
	hottest, err := mpi.Allreduce(ctx, c, slices.Max(inner), mpi.Max)
	if err != nil {
		return field{}, err
	}
	change, err = mpi.Allreduce(ctx, c, change, mpi.Max)
	return field{Grid: slices.Concat(parts...), Hottest: hottest, Change: change}, err
})

// exchange gives the outer rows to the neighbours, and puts theirs around them.
func exchange(ctx context.Context, c *mpi.Comm, g []float64, width int) error {
	rows := len(g) / width
	row := func(i int) []float64 { return g[i*width : (i+1)*width] }
	above, below := c.Rank()-1, c.Rank()+1
	var sent []*mpi.SendRequest
	if above >= 0 {
		sent = append(sent, mpi.Isend(ctx, c, above, 0, row(1)))
	}
	if below < c.Size() {
		sent = append(sent, mpi.Isend(ctx, c, below, 0, row(rows-2)))
		if _, _, err := mpi.RecvInto(ctx, c, below, 0, row(rows-1)); err != nil {
			return err
		}
	}
	if above >= 0 {
		if _, _, err := mpi.RecvInto(ctx, c, above, 0, row(0)); err != nil {
			return err
		}
	}
	for _, s := range sent {
		if err := s.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}
