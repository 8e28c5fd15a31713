// Package mpi runs programs made of ranks: one that calls the others, or many that talk to each
// other.
//
// [Run] is the first kind: main, in the driver, is rank 0; ranks 1 and up are worker processes that
// run what main calls. The communicator is an [xme.Executor], so calls are made as on a pool; they
// are bounded by a buffer, may be directed to certain ranks, and a rank that dies is replaced under
// its number.
//
//	err := mpi.Run(ctx, mpi.Options{Size: 3}, func(ctx context.Context, c *mpi.Comm) error {
//		far := distance.With(xme.On(2)).Go(ctx, c, pair)
//		…
//	})
//
// [Spawn] is the second: every rank is a worker process that runs the same function, gets its
// communicator from [From], and talks to the others: by [Send] and [Recv], and by the collectives
// [Comm.Barrier], [Broadcast], [Scatter], [Gather], [Allgather], [Alltoall], [Reduce], [Allreduce]
// and [Scan]. On Linux, messages go from rank to rank through shared memory. A rank that dies is
// not replaced: what the others wait for ends with an error that names it.
//
//	var solve = xme.Register("solve", func(ctx context.Context, n int) (float64, error) {
//		c := mpi.From(ctx)
//		part := work(n, c.Rank(), c.Size())
//		return mpi.Allreduce(ctx, c, part, mpi.Sum)
//	})
//	…
//	sums, err := mpi.Spawn(ctx, mpi.Options{Size: 4}, solve, 1000)
//
// # When a rank dies
//
// In Run, the death of a rank fails the call that it ran, and the rank is replaced under its
// number. In Spawn it is not replaced: the others return with an error, as described at Spawn. If
// all ranks wait for each other, that is [ErrDeadlock], and the error says who waits for whom.
//
// # Errors of collectives
//
// The error of a collective is a [*RankError] if a rank of the communicator has ended. It wraps
// [ErrDeadlock] if all ranks wait, as they do when they call different collectives, and [ErrType]
// if ranks give values of different types, or slices of different lengths to be combined in place.
// It is the cause of ctx if that ends first, and errors.ErrUnsupported if the elements of a slice
// cannot be sent in place, or on Run's communicator. A root that is not a rank is an error too, as
// is a number of parts other than one for each rank. An error is that of the rank that encounters
// it: others may have their result, or wait until that rank has ended.
//
// # Limits
//
// All ranks run on one machine; Spawn starts at most 256. Messages cannot hold files or shared
// memory: put those into the argument of the function that Spawn runs. Each pair of ranks has a
// ring of its own, which is smaller the more ranks there are (256 KiB to 4 KiB). On systems other
// than Linux messages go through the driver.
//
// # MPI
//
// Terms and meanings are those of the MPI standard (version 4.1, chapters 3, 6 and 7), unless
// stated otherwise here.
package mpi
