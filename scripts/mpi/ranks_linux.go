package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
	"github.com/xenonmp/xme/scripts/procs"
)

// fate is how the ranks of a round are to fare: one of them dies in the midst of it, if any does.
type fate struct {
	Seed   uint64
	Victim int // -1: nobody
	How    int // in hows
	Rounds int
	After  time.Duration // that it dies in
}

// The ways in which a rank ends.
var hows = []string{"killed", "exits", "panics", "fails"}

// outcome is what a rank has seen.
type outcome struct {
	Ran   bool   // it came to an end: Spawn gives nothing for a rank that failed
	Done  int    // collectives and messages that ended as they should
	Named int    // the rank that the error named; -1: there was none
	Wrong string // what was not as it should be
}

var errVictim = xme.RegisterError("github.com/xenonmp/xme/scripts/mpi.errVictim", errors.New("the victim has failed"))

// play has a rank take part in collectives and exchange messages, and look at all that it gets, until it has done all or another has died.
var play = xme.Register("play", func(ctx context.Context, f fate) (outcome, error) {
	c := mpi.From(ctx)
	o := outcome{Ran: true, Named: -1}
	rnd := rand.New(rand.NewPCG(f.Seed, 0))
	dies := -1 // after which of the rounds; the others by a signal, any time
	if c.Rank() == f.Victim {
		switch f.How {
		case 0, 1:
			time.AfterFunc(f.After, func() {
				if f.How == 1 {
					os.Exit(3)
				}
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			})
		default:
			dies = rand.New(rand.NewPCG(f.Seed, 1)).IntN(f.Rounds)
		}
	}
	for i := range f.Rounds {
		switch {
		case i != dies:
		case f.How == 2:
			panic("the victim's panic")
		default:
			return o, errVictim
		}
		err := step(ctx, c, rnd, i)
		var ended *mpi.RankError
		switch {
		case err == nil:
			o.Done++
			continue
		case errors.As(err, &ended):
			o.Named = ended.Rank
		default:
			o.Wrong = err.Error()
		}
		return o, nil
	}
	if c.Rank() == f.Victim && f.How < 2 {
		select {} // until it dies
	}
	return o, nil
})

// step is one collective or exchange, whose kind and sizes rnd decides, alike in all ranks.
func step(ctx context.Context, c *mpi.Comm, rnd *rand.Rand, tag int) error {
	n, me := c.Size(), c.Rank()
	kind, base, size, root := rnd.IntN(7), rnd.IntN(1000), rnd.IntN(1<<rnd.IntN(18)), rnd.IntN(n)
	value := func(rank, i int) int { return base + 31*rank + i }
	slice := func(rank int) []int {
		s := make([]int, size)
		for i := range s {
			s[i] = value(rank, i)
		}
		return s
	}
	sum := func(i int) (v int) {
		for r := range n {
			v += value(r, i)
		}
		return v
	}
	right := func(got []int, want func(i int) int) error {
		if len(got) != size {
			return fmt.Errorf("%d elements, not %d", len(got), size)
		}
		for i, v := range got {
			if v != want(i) {
				return fmt.Errorf("kind %d: element %d is %d, not %d", kind, i, v, want(i))
			}
		}
		return nil
	}
	switch kind {
	case 0:
		return c.Barrier(ctx)
	case 1:
		got, err := mpi.Allreduce(ctx, c, value(me, 0), mpi.Sum)
		if err == nil && got != sum(0) {
			err = fmt.Errorf("the sum is %d, not %d", got, sum(0))
		}
		return err
	case 2:
		buf := slice(me)
		if err := mpi.AllreduceSlice(ctx, c, buf, mpi.Sum); err != nil {
			return err
		}
		return right(buf, sum)
	case 3:
		got, err := mpi.Broadcast(ctx, c, root, slice(me))
		if err != nil {
			return err
		}
		return right(got, func(i int) int { return value(root, i) })
	case 4:
		all, err := mpi.Allgather(ctx, c, slice(me))
		for r, got := range all {
			if err := right(got, func(i int) int { return value(r, i) }); err != nil {
				return err
			}
		}
		return err
	case 5:
		to, from := (me+1)%n, (me+n-1)%n
		got, _, err := mpi.SendRecv(ctx, c, to, tag, slice(me), from, tag)
		if err != nil {
			return err
		}
		return right(got, func(i int) int { return value(from, i) })
	}
	if me != root {
		return mpi.Send(ctx, c, root, tag, slice(me))
	}
	for range n - 1 {
		got, st, err := mpi.Recv[[]int](ctx, c, mpi.AnySource, tag)
		if err != nil {
			return err
		}
		if err := right(got, func(i int) int { return value(st.Source, i) }); err != nil {
			return err
		}
	}
	return nil
}

// spawns runs Spawns, most of which lose a rank.
func spawns(r *report, c config, more func() bool) {
	warm := &report{out: r.out, counts: map[string]int{}}
	spawn(warm, c.seed)
	r.blame(warm)
	for seed := c.seed; more(); seed++ {
		before := procs.Take()
		spawn(r, seed)
		r.left(seed, before)
	}
}

// spawn is one round: Spawn returns, whoever dies; what the others got was right, and their errors name the one.
func spawn(r *report, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 3))
	size := 2 + rnd.IntN(4)
	f := fate{Seed: seed, Victim: rnd.IntN(size+1) - 1, How: rnd.IntN(len(hows)), Rounds: 50 + rnd.IntN(300), After: time.Duration(rnd.IntN(30_000)) * time.Microsecond}
	o := mpi.Options{Size: size, Pool: xme.Options{NoLog: true, NoScreen: true, Link: xme.Link(max(0, rnd.IntN(5)-2))}}
	outs, err := mpi.Spawn(context.Background(), o, play, f)
	what := "nobody dies"
	if f.Victim >= 0 {
		what = hows[f.How]
	}
	want := []error{xme.ErrWorkerLost, xme.ErrWorkerLost, xme.ErrPanic, errVictim}[f.How]
	var e *xme.Error
	switch {
	case f.Victim >= 0 && f.How == 0 && !procs.Struck(err), f.Victim >= 0 && f.How == 1 && (!errors.As(err, &e) || e.ExitCode != 3):
		r.complain("round %d: rank %d of %d %s, and died of something else: %v", seed, f.Victim, size, what, err)
	case f.Victim < 0 && err != nil:
		r.complain("round %d: nobody was to die: %v", seed, err)
	case f.Victim >= 0 && !errors.Is(err, want):
		r.complain("round %d: rank %d of %d %s: %v", seed, f.Victim, size, what, err)
	}
	for rank, out := range outs {
		if rank == f.Victim {
			continue
		}
		switch {
		case !out.Ran:
			r.complain("round %d: rank %d did not end as it should, though the victim is %d: %v", seed, rank, f.Victim, err)
			continue
		case out.Wrong != "":
			r.complain("round %d: rank %d: %s", seed, rank, out.Wrong)
		case out.Named != f.Victim && out.Named >= 0 && !returned(outs, out.Named, f):
			r.complain("round %d: rank %d was told of rank %d, the victim is %d", seed, rank, out.Named, f.Victim)
		case out.Named < 0 && out.Done < f.Rounds:
			r.complain("round %d: rank %d did %d of %d, and was told of nobody", seed, rank, out.Done, f.Rounds)
		}
		for range out.Done {
			r.ended("done")
		}
		if out.Named >= 0 {
			r.ended("told who")
		}
	}
	r.ended(what)
}

// returned reports whether a rank returned before all was done, since it had been told of the victim.
func returned(outs []outcome, rank int, f fate) bool {
	return f.Victim >= 0 && slices.ContainsFunc(outs, func(o outcome) bool { return o.Named == f.Victim }) && outs[rank].Done < f.Rounds
}
