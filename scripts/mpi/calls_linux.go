package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
	"github.com/xenonmp/xme/scripts/procs"
)

// callers is how many goroutines of main make calls.
const callers = 8

// startTries is how many starts have to fail for calls to end that waited for them.
const startTries = 3

// errEnough is how a main ends that fails on purpose.
var errEnough = errors.New("main has had enough")

// rounds runs Runs, each from a seed of its own.
func rounds(r *report, c config, more func() bool) {
	warm := &report{out: r.out, counts: map[string]int{}, last: time.Now()}
	round(warm, c.seed, 50) // what is made once for all shall be there before the first look
	r.blame(warm)
	for seed := c.seed; more(); seed++ {
		before := procs.Take()
		round(r, seed, min(1000, max(c.n/8, 50)))
		r.left(seed, before)
	}
}

// game is one round.
type game struct {
	r     *report
	seed  uint64
	size  int
	ranks atomic.Uint64 // bits of those that are closed, or about to be
	cut   atomic.Bool   // the round ends with calls under way

	struck, lost, unstarted atomic.Int64
}

// round has one main make calls.
func round(r *report, seed uint64, calls int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	g := &game{r: r, seed: seed, size: 2 + rng.IntN(4)}
	o := mpi.Options{Size: g.size, Buffer: 1 << rng.IntN(8), Pool: xme.Options{NoLog: true, NoScreen: true, Grace: 200 * time.Millisecond, Link: xme.Link(rng.IntN(3)), Spares: rng.IntN(3) - 1, Recycle: rng.IntN(2) * 50}}
	end := rng.IntN(4) // it returns once all has ended; with calls under way; its context ends; it fails
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var late []*pending
	var mu sync.Mutex
	var beside sync.WaitGroup
	err := mpi.Run(ctx, o, func(ctx context.Context, c *mpi.Comm) error {
		over := make(chan struct{})
		var wg sync.WaitGroup
		beside.Go(func() { g.monkey(c, rand.New(rand.NewPCG(seed, 2)), over) })
		beside.Go(func() {
			for range c.Watch(ctx) {
				r.count("states seen")
			}
		})
		if rng.IntN(3) == 0 {
			wg.Go(func() { g.closeSome(c, rand.New(rand.NewPCG(seed, 3))) })
		}
		for i := range callers {
			wg.Go(func() {
				left := g.call(ctx, c, rand.New(rand.NewPCG(seed, uint64(10+i))), calls/callers, end > 0)
				mu.Lock()
				late = append(late, left...)
				mu.Unlock()
			})
		}
		wg.Wait()
		close(over)
		g.cut.Store(end > 1)
		switch end {
		case 2:
			stop()
			return ctx.Err()
		case 3:
			return errEnough
		}
		return nil
	})
	if want := []error{nil, nil, context.Canceled, errEnough}[end]; !errors.Is(err, want) {
		r.complain("round %d: Run returned %v, want %v", seed, err, want)
	}
	beside.Wait() // the states end with Run
	for _, p := range late {
		p.judge(context.Background())
	}
	if g.lost.Load() > g.struck.Load() {
		r.complain("round %d: %d calls were lost, and %d processes killed", seed, g.lost.Load(), g.struck.Load())
	}
	// A rank whose process is killed so often as it starts has no more calls wait for it.
	if most := g.struck.Load() / startTries * callers * open; g.unstarted.Load() > most {
		r.complain("round %d: %d calls had no worker start, and %d processes were killed", seed, g.unstarted.Load(), g.struck.Load())
	}
	r.count([]string{"rounds that returned", "rounds that left calls", "rounds cancelled", "rounds that failed"}[end])
}

// monkey kills processes of ranks.
func (g *game) monkey(c *mpi.Comm, rng *rand.Rand, over <-chan struct{}) {
	clock := time.NewTicker(time.Duration(1+rng.IntN(15)) * time.Millisecond)
	defer clock.Stop()
	for {
		select {
		case <-over:
			return
		case <-clock.C:
		}
		ws := c.Workers()
		if w := ws[rng.IntN(len(ws))]; w.PID != 0 && (w.State == xme.Busy || rng.IntN(4) == 0) {
			if procs.Kill(w.PID) {
				g.struck.Add(1)
				g.r.count("kills")
			}
		}
	}
}

// closeSome closes ranks, perhaps all of them, some twice.
func (g *game) closeSome(c *mpi.Comm, rng *rand.Rand) {
	time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
	var wg sync.WaitGroup
	for range 1 + rng.IntN(g.size) {
		rank := 1 + rng.IntN(g.size-1)
		g.ranks.Or(1 << rank)
		wg.Go(func() {
			if err := c.Close(rank); err != nil {
				g.r.complain("round %d: %v", g.seed, err)
			}
			if w := c.Workers()[rank-1]; w.State != xme.Retired || w.PID != 0 {
				g.r.complain("round %d: a closed rank is %+v", g.seed, w)
			}
			g.r.count("closes")
		})
	}
	wg.Wait()
}

// closed reports whether all of ranks, or all there are, may be closed.
func (g *game) closed(on []int) bool {
	bits := g.ranks.Load()
	for rank := 1; rank < g.size; rank++ {
		if (len(on) == 0 || slices.Contains(on, rank)) && bits&(1<<rank) == 0 {
			return false
		}
	}
	return true
}
