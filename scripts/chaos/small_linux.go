package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// small runs rows of double, which the driver handles by the piece, by Map and by Unordered, sometimes several at once; some loops are left, some contexts end
// early, some inputs pause. No more are begun once until says so.
func (t *trial) small(rng *rand.Rand, rows int, until func() bool) {
	var wg sync.WaitGroup
	for range 1 + rng.IntN(3) {
		rng := rand.New(rand.NewPCG(rng.Uint64(), 4))
		wg.Go(func() {
			for range 3 {
				if t.closing.Load() || until() || !t.smallRows(rng, 1+rng.IntN(rows)) {
					return
				}
			}
		})
	}
	wg.Wait()
}

// smallRows runs rows once and checks how each ends. It reports false if the pool was closed.
func (t *trial) smallRows(rng *rand.Rand, rows int) bool {
	seed, pauses, left := rng.Uint64(), rng.IntN(4) == 0, -1
	if rng.IntN(4) == 0 {
		left = rng.IntN(rows)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	late := rng.IntN(4) == 0
	if late {
		timer := time.AfterFunc(time.Duration(rng.IntN(20_000))*time.Microsecond, cancel)
		defer timer.Stop()
	}
	argument := func(row int) int { return 1 + int(mix(seed+uint64(row))>>24) }
	in := func(yield func(int) bool) {
		for row := range rows {
			if pauses && row%777 == 776 {
				time.Sleep(time.Millisecond)
			}
			if !yield(argument(row)) {
				return
			}
		}
	}
	open, came, whole := true, make([]bool, rows), !late
	take := func(row, got int, err error) bool {
		if row < 0 || row >= rows || came[row] {
			t.r.complain(t.seed, "row %d of %d came twice, or is none", row, rows)
			return false
		}
		came[row] = true
		out := t.judged(small, argument(row), got, err, late)
		open = open && out != closed
		whole = whole && out != closed
		return row != left
	}
	next := 0
	if rng.IntN(2) == 0 {
		for got, err := range double.Map(ctx, t.pool.Load(), in) {
			next++
			if !take(next-1, got, err) {
				return open
			}
		}
	} else {
		for r := range double.Unordered(ctx, t.pool.Load(), in) {
			next++
			if !take(r.Index, r.Value, r.Err) {
				return open
			}
		}
	}
	if whole && next != rows {
		t.r.complain(t.seed, "%d of %d rows came", next, rows)
	}
	return open
}

// mix is the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
