package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/scripts/procs"
	"github.com/xenonmp/xme/shm"
)

// piece is a part of an array, and with what it is filled.
type piece struct {
	Part  *shm.Array[uint64]
	First uint64
}

var (
	fill = xme.Register("fill", func(_ context.Context, p piece) (int, error) {
		fillFrom(p.Part.Slice(), p.First)
		return p.Part.Len(), nil
	})
	check = xme.Register("check", func(_ context.Context, p piece) (int, error) {
		return p.Part.Len(), compare(p.Part.Slice(), p.First)
	})
	checkView = xme.Register("checkView", func(_ context.Context, v shm.View[uint64]) (int, error) {
		return v.Len(), compare(v.Slice(), 7)
	})
	produce = xme.Register("produce", func(_ context.Context, n int) (*shm.Array[uint64], error) {
		a, err := shm.NewArray[uint64](n)
		if err != nil {
			return nil, err
		}
		fillFrom(a.Slice(), 9)
		return a, nil
	})
)

func fillFrom(s []uint64, first uint64) {
	for i := range s {
		s[i] = first + uint64(i)
	}
}

// atEnd is nil for the end of a queue.
func atEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func compare(s []uint64, first uint64) error {
	for i, v := range s {
		if v != first+uint64(i) {
			return fmt.Errorf("element %d is %d, not %d", i, v, first+uint64(i))
		}
	}
	return nil
}

// ways is how many there are for [one], two of them alike.
const ways = 5

// one pushes one array through the pool, in one of three ways, or as many items as have room
// in 64 KiB through queues.
func one(ctx context.Context, pool *xme.Pool, way int, c config, n *counts) error {
	elements := c.size / 8
	switch way {
	default:
		n.arrays++
		return throughArray(ctx, pool, elements, n)
	case 4:
		return throughQueues(ctx, pool, pass, 8192, c.workers, n)
	case 2:
		n.views++
		s := make([]uint64, elements)
		fillFrom(s, 7)
		v, err := shm.ViewOf(s)
		if err != nil {
			return err
		}
		_, err = insist(ctx, pool, checkView, v, n)
		return err
	case 3:
		n.made++
		a, err := insist(ctx, pool, produce, elements, n)
		if err != nil {
			return err
		}
		return errors.Join(compare(a.Slice(), 9), a.Close())
	}
}

// throughArray has the halves of an array filled, and read, by calls that run side by side.
func throughArray(ctx context.Context, pool *xme.Pool, elements int, n *counts) error {
	a, err := shm.NewArray[uint64](elements)
	if err != nil {
		return err
	}
	defer a.Close()
	for i, v := range a.Slice() {
		if v != 0 {
			return fmt.Errorf("element %d of new memory is %d", i, v)
		}
	}
	half := elements / 2
	halves := []piece{{Part: a.Part(0, half)}, {Part: a.Part(half, elements), First: uint64(half)}}
	for _, f := range []*xme.Func[piece, int]{fill, check} {
		var wait sync.WaitGroup
		var lost [2]counts
		var errs [2]error
		for i, p := range halves {
			if f == check {
				p = piece{Part: halves[1-i].Part.ReadOnly(), First: halves[1-i].First}
			}
			wait.Go(func() { _, errs[i] = insist(ctx, pool, f, p, &lost[i]) })
		}
		wait.Wait()
		n.lost += lost[0].lost + lost[1].lost
		if err := errors.Join(errs[:]...); err != nil {
			return err
		}
	}
	return compare(a.Slice(), 0)
}

// insist makes a call again and again until its worker is not killed, and counts.
func insist[In, Out any](ctx context.Context, pool *xme.Pool, f *xme.Func[In, Out], in In, n *counts) (Out, error) {
	for {
		out, err := f.Call(ctx, pool, in)
		if !procs.Struck(err) {
			return out, err
		}
		n.lost++
	}
}
