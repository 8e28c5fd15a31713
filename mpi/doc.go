// Package mpi runs programs of ranks: one that calls the others, or many that talk to each other.
//
// [Run] is the first kind: main, in the driver, is rank 0; ranks 1 and up are worker
// processes that run what main calls. The communicator is an [xme.Executor], so calls are
// made as on a pool; they are bounded by a buffer, may be aimed at ranks, and a rank that
// dies is replaced under its number.
//
//	err := mpi.Run(ctx, mpi.Options{Size: 3}, func(ctx context.Context, c *mpi.Comm) error {
//		far := distance.With(xme.On(2)).Go(ctx, c, pair)
//		…
//	})
//
// [Spawn] is the second: every rank is a worker process that runs the same function, finds
// its communicator by [From], and talks to the others: [Send] and [Recv], and the
// collectives [Comm.Barrier], [Broadcast], [Scatter], [Gather], [Allgather], [Alltoall],
// [Reduce], [Allreduce], [Scan]. On Linux what they say goes from rank to rank through shared
// memory. A rank that dies is not replaced: it ends what the others wait for, with an
// error that names it.
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
// In Run it fails the call that it ran, and is replaced under its number. In Spawn it is not: the others return with
// an error, as described at Spawn. If all ranks wait for each other, that is [ErrDeadlock], and the error says who waits for whom.
//
// # Errors of collectives
//
// The error of a collective is a [*RankError] if a rank of the communicator has ended, and wraps [ErrDeadlock] if all ranks wait, as they do when
// they call different ones; [ErrType] if ranks give values of different types, or slices of different lengths to be combined in place;
// the cause of ctx if that ends first; errors.ErrUnsupported if the elements of a slice cannot go in place, and on Run's communicator. A root
// that is no rank, or parts that are not one for each rank, are errors too. It is the error of the rank that meets it: others may have their
// result, or wait until that one has ended.
//
// # Limits
//
// All ranks run on one machine; Spawn starts 256 at most. Messages hold no files and no shared memory: those go into the argument of the
// function that Spawn runs. Each pair of ranks has a ring of its own, which is smaller the more
// ranks there are (256 KiB to 4 KiB). Elsewhere than on Linux what ranks say goes through the driver.
//
// # MPI
//
// Words and meanings are those of the MPI standard (version 4.1, chapters 3, 6 and 7),
// where nothing else is said here.
package mpi
