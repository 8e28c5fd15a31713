package mpi_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/xenonmp/xme/mpi"
)

// values makes one value for each member, the same in all of them.
func values[T any](w *walk, s sort[T], length func() int) []T {
	w.made++
	all := make([]T, len(w.members))
	for r, m := range w.members {
		all[r] = s.make(rand.New(rand.NewPCG(w.seed, uint64(w.made)<<16|uint64(m))), length())
	}
	return all
}

// folded is what a reduction of values comes to: ((v0·v1)·v2)·…
func folded[T any](all []T, op mpi.Op[T]) T {
	v := all[0]
	for _, next := range all[1:] {
		v = op(v, next)
	}
	return v
}

// checked compares a result.
func checked[T, R any](what string, got R, err error, want R) error {
	var none T
	switch {
	case err != nil:
		return fmt.Errorf("%s of %T: %w", what, none, err)
	case !same(got, want):
		return wrong(what, none, got, want)
	}
	return nil
}

// one is a collective in which each member has a value.
func one[T any](ctx context.Context, w *walk, s sort[T]) error {
	me, root := w.c.Rank(), w.rnd.IntN(w.c.Size())
	var none T
	call, all := w.rnd.IntN(9), values(w, s, w.length)
	switch call {
	case 0:
		got, err := mpi.Broadcast(ctx, w.c, root, all[me])
		return checked[T]("Broadcast", got, err, all[root])
	case 1:
		give := all
		if me != root {
			give = nil
		}
		got, err := mpi.Scatter(ctx, w.c, root, give)
		return checked[T]("Scatter", got, err, all[me])
	case 2:
		got, err := mpi.Gather(ctx, w.c, root, all[me])
		if me != root {
			all = nil
		}
		return checked[T]("Gather", got, err, all)
	case 3:
		got, err := mpi.Allgather(ctx, w.c, all[me])
		return checked[T]("Allgather", got, err, all)
	case 4:
		var give, want []T
		for r := range w.members {
			few := values(w, s, func() int { return w.length() % 5000 })
			want = append(want, few[me])
			if r == me {
				give = few
			}
		}
		// Row r holds what member r gives, so a column is what a member gets.
		got, err := mpi.Alltoall(ctx, w.c, give)
		return checked[T]("Alltoall", got, err, want)
	case 5:
		got, err := mpi.Reduce(ctx, w.c, root, all[me], s.op)
		want := none
		if me == root {
			want = folded(all, s.op)
		}
		return checked[T]("Reduce", got, err, want)
	case 6:
		got, err := mpi.Allreduce(ctx, w.c, all[me], s.op)
		return checked[T]("Allreduce", got, err, folded(all, s.op))
	case 7:
		got, err := mpi.Scan(ctx, w.c, all[me], s.op)
		return checked[T]("Scan", got, err, folded(all[:me+1], s.op))
	}
	if err := w.c.Barrier(ctx); err != nil {
		return fmt.Errorf("Barrier: %w", err)
	}
	return nil
}

// inPlace is a collective of slices, of one length in all members, in place.
func inPlace[T any](ctx context.Context, w *walk, s sort[T]) error {
	me, root, n := w.c.Rank(), w.rnd.IntN(w.c.Size()), w.length()
	call, all := w.rnd.IntN(3), make([][]T, len(w.members))
	w.made++
	for r, m := range w.members {
		rnd := rand.New(rand.NewPCG(w.seed, uint64(w.made)<<16|uint64(m)))
		all[r] = list(func(rnd *rand.Rand) T { return s.make(rnd, 1) })(rnd, n)
	}
	buf := slices.Clone(all[me])
	var want []T
	if call > 0 {
		want = make([]T, n)
		for i := range n {
			want[i] = all[0][i]
			for _, v := range all[1:] {
				want[i] = s.op(want[i], v[i])
			}
		}
	}
	switch call {
	case 0:
		err := mpi.BroadcastSlice(ctx, w.c, root, buf)
		return checked[T]("BroadcastSlice", nonNil(buf), err, nonNil(all[root]))
	case 1:
		err := mpi.ReduceSlice(ctx, w.c, root, buf, s.op)
		if me != root {
			want = all[me]
		}
		return checked[T]("ReduceSlice", nonNil(buf), err, nonNil(want))
	}
	err := mpi.AllreduceSlice(ctx, w.c, buf, s.op)
	return checked[T]("AllreduceSlice", nonNil(buf), err, nonNil(want))
}

func nonNil[T any](s []T) []T { return append([]T{}, s...) }
