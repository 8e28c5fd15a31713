package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

func run(ctx context.Context, n int64, players int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fails := func(err error) error {
		cancel(err)
		return context.Cause(ctx) // what failed first, which may have been another stage
	}
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
	made := endsAll(count.Go(ctx, pool, s), cancel)
	var played []*xme.Future[int64]
	for range players {
		played = append(played, endsAll(play.Go(ctx, pool, s), cancel))
	}
	kept := endsAll(keep.Go(ctx, pool, s), cancel)

	if _, err := made.Wait(ctx); err != nil {
		return fails(err)
	}
	total := int64(0)
	for i, f := range played {
		k, err := f.Wait(ctx)
		if err != nil {
			return fails(err)
		}
		fmt.Fprintf(os.Stderr, "player %d: %d games\n", i+1, k)
		total += k
	}
	longest, err := kept.Wait(ctx)
	if err != nil {
		return fails(err)
	}
	if want := longestBelow(n); total != n || longest != want {
		return fmt.Errorf("%d games, the longest %v: it should be %d and %v", total, longest, n, want)
	}
	fmt.Printf("%d numbers: %d takes %d steps, as in one loop\n", n, longest.Start, longest.Steps)
	fmt.Fprintf(os.Stderr, "%v, %.2f million numbers a second\n", time.Since(begin).Round(time.Millisecond), float64(n)/time.Since(begin).Seconds()/1e6)
	return nil
}
