package main

import (
	"context"
	"errors"

	"github.com/xenonmp/xme/mpi"
)

func (r *rank) mark(b []byte, i int) { b[0], b[r.size-1] = byte(i), byte(i) }

func (r *rank) marked(b []byte, i int) error {
	if b[0] != byte(i) || b[r.size-1] != byte(i) {
		return errOther
	}
	return nil
}

func (r *rank) send(ctx context.Context, i int) error {
	r.mark(r.out[0], i)
	return mpi.Send(ctx, r.c, r.peer, 0, r.out[0][:r.size])
}

func (r *rank) receive(ctx context.Context, i int) error {
	if _, _, err := mpi.RecvInto(ctx, r.c, r.peer, 0, r.in[0][:r.size]); err != nil {
		return err
	}
	return r.marked(r.in[0], i)
}

func (r *rank) pingPong(ctx context.Context, n int) error {
	first, second := r.send, r.receive
	if r.c.Rank() == 1 {
		first, second = second, first
	}
	for i := range n {
		if err := first(ctx, i); err != nil {
			return err
		}
		if err := second(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// acknowledge ends a stream: all of it has come.
func (r *rank) acknowledge(ctx context.Context) error {
	if r.c.Rank() == 1 {
		return mpi.Send(ctx, r.c, 0, 1, byte(0))
	}
	_, _, err := mpi.Recv[byte](ctx, r.c, 1, 1)
	return err
}

func (r *rank) stream(ctx context.Context, n int) error {
	step := r.send
	if r.c.Rank() == 1 {
		step = r.receive
	}
	for i := range n {
		if err := step(ctx, i); err != nil {
			return err
		}
	}
	return r.acknowledge(ctx)
}

func (r *rank) window(ctx context.Context, n int) error {
	var sends [underWay]*mpi.SendRequest
	var receives [underWay]*mpi.RecvIntoRequest
	for i := 0; i < n; i += underWay {
		if r.c.Rank() == 0 {
			for k := range underWay {
				r.mark(r.out[k], i+k)
				sends[k] = mpi.Isend(ctx, r.c, 1, 0, r.out[k][:r.size])
			}
			for _, s := range sends {
				if err := s.Wait(ctx); err != nil {
					return err
				}
			}
			continue
		}
		for k := range underWay {
			receives[k] = mpi.IrecvInto(ctx, r.c, 0, 0, r.in[k][:r.size])
		}
		for k, q := range receives {
			if _, _, err := q.Wait(ctx); err != nil {
				return err
			}
			if err := r.marked(r.in[k], i+k); err != nil {
				return err
			}
		}
	}
	return r.acknowledge(ctx)
}

// allreduce doubles what it sums, from 1, and begins again before it overflows.
func (r *rank) allreduce(ctx context.Context, n int) error {
	s := r.sums[:r.size/8]
	want := 0.0
	for i := range n {
		if i%512 == 0 {
			for k := range s {
				s[k] = 1
			}
			want = 1
		}
		if err := mpi.AllreduceSlice(ctx, r.c, s, mpi.Sum); err != nil {
			return err
		}
		if want *= 2; s[0] != want || s[len(s)-1] != want {
			return errors.New("the sum is wrong")
		}
	}
	return nil
}

func (r *rank) barrier(ctx context.Context, n int) error {
	for range n {
		if err := r.c.Barrier(ctx); err != nil {
			return err
		}
	}
	return nil
}
