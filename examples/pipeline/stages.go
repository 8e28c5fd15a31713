package main

import (
	"context"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// game is a number and how many steps it takes to 1.
type game struct {
	Start, Steps int64
}

// stage is what a stage is joined to. Busy counts those of its kind that still work: the last ends the queue.
type stage struct {
	N        int64
	Numbers  *shm.Queue[int64]
	Games    *shm.Queue[game]
	Busy     *shm.Value[int]
	PerBatch int
}

var (
	count = xme.Register("count", func(ctx context.Context, s stage) (int64, error) {
		batch := make([]int64, 0, s.PerBatch)
		for v := int64(1); v <= s.N; v++ {
			if batch = append(batch, v); len(batch) == cap(batch) || v == s.N {
				if _, err := s.Numbers.PutAll(ctx, batch); err != nil {
					return v, err
				}
				batch = batch[:0]
			}
		}
		return s.N, s.Numbers.End()
	})
	play = xme.Register("play", func(ctx context.Context, s stage) (int64, error) {
		defer func() {
			if shm.Add(s.Busy, -1) == 0 {
				_ = s.Games.End()
			}
		}()
		numbers, games, done := make([]int64, s.PerBatch), make([]game, s.PerBatch), int64(0)
		for {
			n, err := s.Numbers.GetSome(ctx, numbers)
			if err != nil {
				return done, atEnd(err)
			}
			for i, v := range numbers[:n] {
				games[i] = game{v, steps(v)}
			}
			if _, err := s.Games.PutAll(ctx, games[:n]); err != nil {
				return done, err
			}
			done += int64(n)
		}
	})
	keep = xme.Register("keep", func(ctx context.Context, s stage) (game, error) {
		var longest game
		games := make([]game, s.PerBatch)
		for {
			n, err := s.Games.GetSome(ctx, games)
			if err != nil {
				return longest, atEnd(err)
			}
			for _, g := range games[:n] {
				if g.Steps > longest.Steps || g.Steps == longest.Steps && g.Start < longest.Start {
					longest = g
				}
			}
		}
	})
)
