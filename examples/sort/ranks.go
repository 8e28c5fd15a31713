package main

import (
	"context"
	"slices"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
)

// part says what a rank has in the end.
type part struct {
	Tally       tally
	First, Last uint64
	Sorted      bool
}

// sortPart is a rank.
var sortPart = xme.Register("sort", func(ctx context.Context, all numbers) (part, error) {
	c := mpi.From(ctx)
	own := all.slice(all.N*c.Rank()/c.Size(), all.N*(c.Rank()+1)/c.Size())
	slices.Sort(own)
	splitters, err := split(ctx, c, own)
	if err != nil {
		return part{}, err
	}
	pieces := make([][]uint64, c.Size()) // piece r: from splitter r-1, below splitter r
	rest := own
	for r, s := range splitters {
		n, _ := slices.BinarySearch(rest, s)
		pieces[r], rest = rest[:n], rest[n:]
	}
	pieces[c.Size()-1] = rest
	if pieces, err = mpi.Alltoall(ctx, c, pieces); err != nil {
		return part{}, err
	}
	own = slices.Concat(pieces...)
	slices.Sort(own)
	p := part{Tally: count(own), Sorted: slices.IsSorted(own)}
	if len(own) > 0 {
		p.First, p.Last = own[0], own[len(own)-1]
	}
	return p, nil
})

// split finds the numbers at which the parts of ranks 1 and up begin: rank 0 takes them from samples of all.
func split(ctx context.Context, c *mpi.Comm, own []uint64) ([]uint64, error) {
	samples := make([]uint64, min(len(own), 32*c.Size()))
	for i := range samples {
		samples[i] = own[i*len(own)/len(samples)]
	}
	gathered, err := mpi.Gather(ctx, c, 0, samples)
	if err != nil {
		return nil, err
	}
	splitters := make([]uint64, c.Size()-1)
	if all := slices.Concat(gathered...); len(all) > 0 {
		slices.Sort(all)
		for i := range splitters {
			splitters[i] = all[(i+1)*len(all)/c.Size()]
		}
	}
	return mpi.Broadcast(ctx, c, 0, splitters)
}
