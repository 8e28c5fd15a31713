package mpi

import (
	"context"
)

// Comm is a communicator: a group of ranks, and the way to talk to them. All its methods,
// and the functions that take it, may be called concurrently; but the collectives of one
// communicator are called one after the other, in the same order by all its ranks.
//
// Main's, of Run, is an executor: its calls run on the other ranks. Those of Spawn's ranks
// carry messages and collectives, and make no calls.
type Comm struct {
	calls *calls // Run's main
	group *group // a rank of Spawn
}

// From returns the communicator of all ranks, in one of Spawn's; elsewhere it returns one
// whose methods and messages fail with an error that says so, never nil.
func From(ctx context.Context) *Comm { return &Comm{} }

// Rank returns the caller's rank in the communicator, from 0.
func (c *Comm) Rank() int {
	if c.calls != nil {
		return 0
	}
	return 0
}

// Size returns how many ranks the communicator has.
func (c *Comm) Size() int {
	if c.calls != nil {
		return c.calls.size
	}
	return 0
}
