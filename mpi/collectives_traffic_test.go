package mpi_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/xenonmp/xme/mpi"
)

// message is one of a walk's messages: the number-th of its sender to anybody.
type message struct{ from, to, tag, number, length int }

// body is what it carries: who sent it, its number, and what follows from these.
func (m message) body() []uint64 {
	b := make([]uint64, 0, m.length+2)
	for i := range m.length {
		b = append(b, uint64(i)*uint64(m.number+3))
	}
	return append(b, uint64(m.from), uint64(m.number))
}

// traffic begins to send messages among the members, and has finish receive them, in one of several ways.
func (w *walk) traffic(ctx context.Context) (finish func(context.Context) error) {
	me, size, mine := w.c.Rank(), w.c.Size(), []message(nil)
	var sent []*mpi.SendRequest
	for number := range w.rnd.IntN(30) {
		m := message{from: w.rnd.IntN(size), to: w.rnd.IntN(size), tag: w.rnd.IntN(4), number: number, length: w.length() % 100_000}
		if m.to == me {
			mine = append(mine, m)
		}
		if m.from == me {
			sent = append(sent, mpi.Isend(ctx, w.c, m.to, m.tag, m.body()))
		}
	}
	ways := make([]int, size)
	for r := range ways {
		ways[r] = w.rnd.IntN(5)
	}
	receive := func(ctx context.Context) error { return w.receive(ctx, mine, ways[me]) }
	if ways[me] == 4 { // receives that were posted before, waited for from the last to the first
		var posted []*mpi.RecvRequest[[]uint64]
		for _, m := range mine {
			posted = append(posted, mpi.Irecv[[]uint64](ctx, w.c, m.from, m.tag))
		}
		receive = func(ctx context.Context) error {
			for i, m := range slices.Backward(mine) {
				got, st, err := posted[i].Wait(ctx)
				if err := came(m, got, st, err); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return func(ctx context.Context) error {
		if err := receive(ctx); err != nil {
			return err
		}
		for _, s := range sent {
			if err := s.Wait(ctx); err != nil {
				return fmt.Errorf("Isend: %w", err)
			}
		}
		return w.c.Barrier(ctx) // who receives from any source shall get none of the next step's
	}
}

// receive receives messages to this rank.
func (w *walk) receive(ctx context.Context, mine []message, way int) error {
	switch way {
	case 0: // whatever comes
		for rest := mine; len(rest) > 0; {
			got, st, err := mpi.Recv[[]uint64](ctx, w.c, mpi.AnySource, mpi.AnyTag)
			if rest, err = next(rest, got, st, err, mpi.AnyTag); err != nil {
				return err
			}
		}
	case 1: // tag by tag, the last first
		for tag := 3; tag >= 0; tag-- {
			for rest := tagged(mine, tag); len(rest) > 0; {
				got, st, err := mpi.Recv[[]uint64](ctx, w.c, mpi.AnySource, tag)
				if rest, err = next(rest, got, st, err, tag); err != nil {
					return err
				}
			}
		}
	case 2: // from each member and tag
		for from := w.c.Size() - 1; from >= 0; from-- {
			for tag := range 4 {
				for _, m := range tagged(mine, tag) {
					if m.from == from {
						got, st, err := mpi.Recv[[]uint64](ctx, w.c, from, tag)
						if err := came(m, got, st, err); err != nil {
							return err
						}
					}
				}
			}
		}
	default: // seen first, and then received in place
		for rest := mine; len(rest) > 0; {
			seen, err := mpi.Probe(ctx, w.c, mpi.AnySource, mpi.AnyTag)
			if err != nil {
				return fmt.Errorf("Probe: %w", err)
			}
			got := make([]uint64, seen.Bytes/8)
			n, st, err := mpi.RecvInto(ctx, w.c, seen.Source, seen.Tag, got)
			if err == nil && (n != len(got) || st != seen) {
				return fmt.Errorf("RecvInto gave %d elements and %v, after Probe had %v", n, st, seen)
			}
			if rest, err = next(rest, got, st, err, mpi.AnyTag); err != nil {
				return err
			}
		}
	}
	return nil
}

func tagged(messages []message, tag int) (some []message) {
	for _, m := range messages {
		if m.tag == tag {
			some = append(some, m)
		}
	}
	return some
}

// next takes a message that has come out of those that may: it is the first of its sender's that the receive asked for.
func next(rest []message, got []uint64, st mpi.Status, err error, tag int) ([]message, error) {
	i := slices.IndexFunc(rest, func(m message) bool { return m.from == st.Source && (tag == mpi.AnyTag || m.tag == tag) })
	if err == nil && i < 0 {
		return nil, fmt.Errorf("%v came, which nobody sends", st)
	}
	if err := came(rest[max(i, 0)], got, st, err); err != nil {
		return nil, err
	}
	return slices.Concat(rest[:i], rest[i+1:]), nil
}

// came checks that what came is m.
func came(m message, got []uint64, st mpi.Status, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("receive: %w", err)
	case st != mpi.Status{Source: m.from, Tag: m.tag, Bytes: 8 * (m.length + 2)}:
		return fmt.Errorf("%v came, want %+v", st, m)
	case !slices.Equal(got, m.body()):
		return fmt.Errorf("%v of %+v has the wrong body: it ends in %v", st, m, got[max(0, len(got)-2):])
	}
	return nil
}
