// Pipeline has three stages in processes of their own, joined by queues in shared memory: one makes numbers, some find how
// many steps each takes in Collatz's game, one keeps the longest. A queue that is full holds up the stage before it.
//
//	go run ./examples/pipeline -n 1000000 -p 2
//
// feature: M1, M4
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

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

func run(ctx context.Context, n int64, players int) error {
	// A stage that fails ends the others.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	numbers, err := shm.NewQueue[int64](4096)
	if err != nil {
		return err
	}
	defer numbers.Close()
	games, err := shm.NewQueue[game](4096)
	if err != nil {
		return err
	}
	defer games.Close()
	busy, err := shm.NewValue(players)
	if err != nil {
		return err
	}
	defer busy.Close()
	pool, err := xme.Open(ctx, xme.Options{Workers: players + 2}) // all stages at once
	if err != nil {
		return err
	}
	defer pool.Close()

	begin := time.Now()
	s := stage{N: n, Numbers: numbers, Games: games, Busy: busy, PerBatch: 256}
	made := count.Go(ctx, pool, s)
	var played []*xme.Future[int64]
	for range players {
		played = append(played, play.Go(ctx, pool, s))
	}
	kept := keep.Go(ctx, pool, s)

	if _, err := made.Wait(ctx); err != nil {
		return err
	}
	total := int64(0)
	for i, f := range played {
		k, err := f.Wait(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "player %d: %d games\n", i+1, k)
		total += k
	}
	longest, err := kept.Wait(ctx)
	if err != nil {
		return err
	}
	if want := longestBelow(n); total != n || longest != want {
		return fmt.Errorf("%d games, the longest %v: it should be %d and %v", total, longest, n, want)
	}
	fmt.Printf("%d numbers: %d takes %d steps, as in one loop\n", n, longest.Start, longest.Steps)
	fmt.Fprintf(os.Stderr, "%v, %.2f million numbers a second\n", time.Since(begin).Round(time.Millisecond), float64(n)/time.Since(begin).Seconds()/1e6)
	return nil
}

func main() {
	xme.Init()
	n := flag.Int64("n", 300_000, "how many `numbers`")
	p := flag.Int("p", 2, "`players`, side by side")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	case *n < 0 || *p < 1:
		err = fmt.Errorf("-n %d -p %d: n is not negative, p is 1 or more", *n, *p)
	default:
		err = run(context.Background(), *n, *p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pipeline:", err)
		os.Exit(1)
	}
}
