package mpi

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/xenonmp/xme/internal/park"
	"github.com/xenonmp/xme/internal/ring"
)

// inOneProcess makes ranks that are goroutines of this process, so that the race detector sees what they do.
func inOneProcess(size, area int) []*Comm {
	m := ring.NewMesh(alignedBytes(ring.MeshSize(size, notes(size), area)), size, notes(size), area, park.Waits{})
	all := make([]*Comm, size)
	for r := range all {
		w := newWorld(m, r, size, newBoard(m, size), limits{eager: eagerMost, piece: pieceMost, message: 1 << 30, held: heldMost}, 1)
		g := &group{w: w, rank: r}
		for o := range size {
			g.ranks = append(g.ranks, o)
		}
		all[r] = &Comm{group: g}
	}
	return all
}

// each runs f on all ranks.
func each(t *testing.T, all []*Comm, f func(c *Comm) error) {
	t.Helper()
	var running sync.WaitGroup
	for r, c := range all {
		running.Go(func() {
			if err := f(c); err != nil {
				t.Errorf("rank %d: %v", r, err)
			}
		})
	}
	running.Wait()
}

// TestThreads has several goroutines of each rank talk at the same time, each with those of its number, in all the ways there are.
func TestThreads(t *testing.T) {
	const size, threads, rounds = 3, 4, 60
	each(t, inOneProcess(size, 4096), func(c *Comm) error {
		ctx := t.Context()
		errs := make(chan error, threads)
		for tag := range threads {
			go func() { errs <- thread(ctx, c, tag, rounds) }()
		}
		for range threads {
			if err := <-errs; err != nil {
				return err
			}
		}
		return nil
	})
}

func thread(ctx context.Context, c *Comm, tag, rounds int) error {
	next, last := (c.Rank()+1)%c.Size(), (c.Rank()+c.Size()-1)%c.Size()
	value := func(rank, round int) []int32 {
		rnd := rand.New(rand.NewPCG(uint64(rank), uint64(round*100+tag)))
		v := make([]int32, rnd.IntN(1<<rnd.IntN(14)))
		for i := range v {
			v[i] = int32(rnd.Uint32())
		}
		return v
	}
	for i := range rounds {
		mine, want := value(c.Rank(), i), value(last, i)
		var got []int32
		var st Status
		var err error
		switch i % 6 {
		case 0:
			got, st, err = SendRecv(ctx, c, next, tag, mine, last, tag)
		case 1:
			s, r := Isend(ctx, c, next, tag, mine), Irecv[[]int32](ctx, c, last, tag)
			if got, st, err = r.Wait(ctx); err == nil {
				err = s.Wait(ctx)
			}
		case 2:
			s := Isend(ctx, c, next, tag, mine)
			for done := false; !done && err == nil; {
				done, err = s.Test()
				if st, perr := Probe(ctx, c, last, tag); perr != nil || st.Bytes != 4*len(want) {
					return fmt.Errorf("probed %v: %w", st, perr)
				}
				if !done {
					break
				}
			}
			got, st, err = Recv[[]int32](ctx, c, last, tag)
			if err == nil {
				err = s.Wait(ctx)
			}
		case 3:
			buf := make([]int32, 1<<13)
			r := IrecvInto(ctx, c, last, tag, buf)
			if err = Send(ctx, c, next, tag, mine); err != nil {
				return err
			}
			var n int
			for done := false; !done && err == nil; {
				n, st, done, err = r.Test()
			}
			got = buf[:n]
		case 4:
			buf := make([]int32, 1<<13)
			var n int
			n, st, err = SendRecvInto(ctx, c, next, tag, mine, last, tag, buf)
			got = buf[:n]
		case 5:
			s, r := Isend(ctx, c, next, tag, mine), Irecv[[]int32](ctx, c, last, tag)
			for done := false; !done && err == nil; {
				got, st, done, err = r.Test()
			}
			if err == nil {
				err = s.Wait(ctx)
			}
		}
		if err != nil {
			return err
		}
		if !slices.Equal(got, want) || st != (Status{Source: last, Tag: tag, Bytes: 4 * len(want)}) {
			return fmt.Errorf("round %d: received %d of %d, %v", i, len(got), len(want), st)
		}
	}
	return nil
}

// TestGivenUp has ranks give up sends and receives at any moment; what is sent afterwards arrives.
func TestGivenUp(t *testing.T) {
	const rounds = 300
	each(t, inOneProcess(2, 4096), func(c *Comm) error {
		ctx, other := t.Context(), 1-c.Rank()
		rnd := rand.New(rand.NewPCG(1, uint64(c.Rank())))
		for i := range rounds {
			short, cancel := context.WithCancel(ctx)
			stop := make(chan struct{})
			spins := rnd.IntN(2000)
			go func() {
				for range spins {
					_ = rnd
				}
				cancel()
				close(stop)
			}()
			var err error
			if c.Rank() == 0 {
				err = Send(short, c, other, i, make([]byte, 40_000))
			} else {
				var got []byte
				if got, _, err = Recv[[]byte](short, c, other, i); err == nil && len(got) != 40_000 {
					return fmt.Errorf("received %d bytes", len(got))
				}
			}
			<-stop
			if err != nil && !errors.Is(err, context.Canceled) && i >= 0 && c.Rank() == 0 {
				return err
			}
			// What is under way of the other's does no harm to the next.
			got, _, err := SendRecv(ctx, c, other, rounds+i, fmt.Sprint(i), other, rounds+i)
			if err != nil || got != fmt.Sprint(i) {
				return fmt.Errorf("%q after giving up: %w", got, err)
			}
		}
		return nil
	})
}

// TestOrder sends messages of all sizes under few tags; those of one tag are received in order, whatever tag is asked for first.
func TestOrder(t *testing.T) {
	const messages = 600
	type message struct{ Number, Tag int }
	each(t, inOneProcess(3, 4096), func(c *Comm) error {
		ctx := t.Context()
		rnd := rand.New(rand.NewPCG(2, 0))
		tags := make([]int, messages)
		for i := range tags {
			tags[i] = rnd.IntN(4)
		}
		if c.Rank() > 0 {
			var sends []*SendRequest
			for i, tag := range tags {
				v := make([]message, 1+rnd.IntN(900)*rnd.IntN(2))
				v[0] = message{i, tag}
				sends = append(sends, Isend(ctx, c, 0, tag, v)) // large ones wait to be received
			}
			for _, s := range sends {
				if err := s.Wait(ctx); err != nil {
					return err
				}
			}
			return nil
		}
		last := map[[2]int]int{}
		take := func(source, tag int) error {
			v, st, err := Recv[[]message](ctx, c, source, tag)
			if err != nil {
				return err
			}
			key := [2]int{st.Source, v[0].Tag}
			if n, ok := last[key]; ok && v[0].Number <= n || v[0].Tag != st.Tag {
				return fmt.Errorf("number %d of rank %d, tag %d, after %d", v[0].Number, st.Source, st.Tag, n)
			}
			last[key] = v[0].Number
			return nil
		}
		count := func(tag int) (n int) {
			for _, v := range tags {
				if v == tag {
					n++
				}
			}
			return n
		}
		for range count(3) { // the others are set aside
			if err := take(1, 3); err != nil {
				return err
			}
		}
		for range count(2) * 2 {
			if err := take(AnySource, 2); err != nil {
				return err
			}
		}
		for range 2*messages - 2*count(2) - count(3) {
			if err := take(AnySource, AnyTag); err != nil {
				return err
			}
		}
		return nil
	})
}
