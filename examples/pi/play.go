package main

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// way is one way to run a game: it calls count, on one goroutine, for each row that has ended.
type way struct {
	name string
	run  func(g game, count func(score)) error
}

// play runs the game in a pool, on ranks, serially, or in every way, and prints what comes out. The speed-up is against the
// first way; if there is only one, against a few darts thrown here.
func (g game) play(serial, compare, ranks bool) error {
	ways := []way{{"pool", inPool}}
	switch {
	case ranks && compare:
		return errors.New("-compare runs no communicator: leave -mpi out")
	case serial && compare:
		return errors.New("-compare runs serially too: leave -serial out")
	case compare:
		ways = []way{{"serial", serially}, {"goroutines", inGoroutines}, {"pool", inPool}}
	case serial || g.p == 1:
		ways = []way{{"serial", serially}}
	case ranks:
		ways = []way{{"ranks", onRanks}}
	}
	seconds := make([]float64, len(ways))
	for i, w := range ways {
		m := newMeter(w.name, g.n)
		start := time.Now()
		err := w.run(g, m.count)
		seconds[i] = time.Since(start).Seconds()
		m.end()
		if err == nil && m.sum.Darts != g.n {
			err = fmt.Errorf("%d darts were thrown, not %d", m.sum.Darts, g.n)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		base := seconds[0]
		if len(ways) == 1 {
			few := min(g.n, 4_000_000)
			start = time.Now()
			throw(0, few)
			base = time.Since(start).Seconds() * float64(g.n) / float64(few)
		}
		pi := 4 * float64(m.sum.Hits) / float64(m.sum.Darts)
		fmt.Printf("%-10s  %d darts  pi %.6f  error %.6f  %.3f s  speed-up %.2f\n",
			w.name, m.sum.Darts, pi, math.Abs(pi-math.Pi), seconds[i], base/seconds[i])
	}
	if len(ways) == 3 {
		fmt.Printf("speed-up of the pool / of the goroutines: %.3f\n", seconds[1]/seconds[2])
	}
	return nil
}
