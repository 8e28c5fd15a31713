package main

import (
	"iter"
	"sync"
	"sync/atomic"
)

// game is n darts in rows of s ≤ n, for p workers or goroutines.
type game struct{ n, s, p int }

// row returns how many darts row i throws: s, what is left in the last one, none behind it.
func (g game) row(i int) int { return max(0, min(g.s, g.n-i*g.s)) }

func (g game) rows() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; g.row(i) > 0 && yield(g.row(i)); i++ {
		}
	}
}

func serially(g game, count func(score)) error {
	for i := 0; g.row(i) > 0; i++ {
		count(throw(uint64(i), g.row(i)))
	}
	return nil
}

func inGoroutines(g game, count func(score)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	scores := make(chan score)
	for range g.p {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); g.row(i) > 0; i = int(next.Add(1) - 1) {
				scores <- throw(uint64(i), g.row(i))
			}
		})
	}
	go func() {
		wg.Wait()
		close(scores)
	}()
	for s := range scores {
		count(s)
	}
	return nil
}
