package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/scripts/procs"
	"github.com/xenonmp/xme/shm"
)

// config is what the flags say.
type config struct {
	time    time.Duration
	seed    uint64
	workers int
	every   time.Duration // between two kills, on average
	late    time.Duration // how long a wait may last
	noSweep bool
}

func main() {
	xme.Init()
	var c config
	flag.DurationVar(&c.time, "t", 10*time.Second, "how long to run")
	flag.Uint64Var(&c.seed, "seed", 0, "of the kills and of what is done; 0: from the clock")
	flag.IntVar(&c.workers, "workers", 3, "workers of the pool")
	flag.DurationVar(&c.every, "every", 100*time.Millisecond, "between two kills at random, on average")
	flag.DurationVar(&c.late, "late", 900*time.Millisecond, "how long a lock may be waited for at most")
	flag.BoolVar(&c.noSweep, "nosweep", false, "free nothing when a process dies, to see that the soak fails")
	flag.Parse()
	if flag.NArg() > 0 || c.time <= 0 || c.workers < 1 || c.every <= 0 || c.late <= 0 {
		fmt.Fprintln(os.Stderr, "locks: no arguments; -t, -workers, -every and -late above 0")
		os.Exit(2)
	}
	if c.noSweep {
		proc.NoSweeps()
	}
	if err := run(context.Background(), c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "locks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config, out io.Writer) error {
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	fmt.Fprintf(out, "seed %d, %d workers, a kill every %v besides those by their own hand\n", c.seed, c.workers, c.every)
	// What is made once for all shall be there before the first look.
	dog := procs.Watchdog(c.time+5*time.Minute, func() string { return fmt.Sprintf("locks: seed %d", c.seed) })
	defer dog.Stop()
	warm := c
	warm.time, warm.every = time.Millisecond, time.Hour
	if _, err := soak(ctx, warm, io.Discard); err != nil {
		return err
	}
	before := procs.Take()
	n, err := soak(ctx, c, out)
	if err != nil {
		return err
	}
	for i, name := range partNames {
		if n.done[i] == 0 {
			n.violations++
			fmt.Fprintf(out, "violation: %s never succeeded\n", name)
		}
	}
	n.print(out)
	used, idle := shm.Usage()
	left := procs.Settle(before, 5*time.Second)
	for _, l := range left {
		fmt.Fprintln(out, "left behind:", l)
	}
	fmt.Fprintf(out, "shared memory: %d bytes in use, %d kept\n", used, idle)
	if n.violations > 0 || used != 0 || len(left) > 0 {
		return fmt.Errorf("%d violations, %d bytes in use, %d things left behind", n.violations, used, len(left))
	}
	return nil
}

// counts are what a run did.
type counts struct {
	done       [parts]uint64
	rows, lost int
	kills      int // at random
	own        int // by the rows' own hand
	told       uint64
	violations int
	grants     []time.Duration // from the killing of a holder until the next had the lock
}

func (n *counts) print(out io.Writer) {
	for i, name := range partNames {
		fmt.Fprintf(out, "%-10s %d times\n", name, n.done[i])
	}
	fmt.Fprintf(out, "%d rows, %d of them lost; %d kills at random, %d by their own hand; %d times the next holder was told of a death\n", n.rows, n.lost, n.kills, n.own, n.told)
	if len(n.grants) > 0 {
		slices.Sort(n.grants)
		at := func(q float64) time.Duration {
			return n.grants[int(q*float64(len(n.grants)-1))].Round(10 * time.Microsecond)
		}
		fmt.Fprintf(out, "from the killing of a holder until the next had the lock, %d times: median %v, 99 of 100 within %v, longest %v\n",
			len(n.grants), at(0.5), at(0.99), at(1))
	}
	fmt.Fprintf(out, "violations %d\n", n.violations)
}

// soak runs tasks until the time is over.
func soak(ctx context.Context, c config, out io.Writer) (*counts, error) {
	pool, err := xme.Open(ctx, xme.Options{Workers: c.workers})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	y := &yard{}
	if err := y.open(); err != nil {
		return nil, err
	}
	defer y.close()
	n := &counts{}
	pumping, stop := context.WithCancel(ctx)
	var pump sync.WaitGroup
	pump.Go(func() { y.pulse(pumping) })
	var pumpErr error
	pump.Go(func() { pumpErr = y.pump(pumping, c.late) })
	rng := rand.New(rand.NewPCG(c.seed, 1))
	over := make(chan struct{})
	var monkey sync.WaitGroup
	monkey.Go(func() { n.kills = kill(pool, rand.New(rand.NewPCG(c.seed, 2)), c.every, over) })
	end := time.Now().Add(c.time)
	jobs := func(yield func(job) bool) {
		for time.Now().Before(end) && yield(job{Yard: *y, Seed: rng.Uint64(), Late: c.late, End: end.UnixNano()}) {
		}
	}
	for _, err := range work.Map(ctx, pool, jobs) {
		n.rows++
		switch {
		case err == nil:
		case procs.Struck(err):
			n.lost++
		default:
			if n.violations++; n.violations <= 20 {
				fmt.Fprintln(out, "violation:", err)
			}
		}
	}
	close(over)
	monkey.Wait()
	stop()
	pump.Wait()
	if pumpErr != nil {
		n.violations++
		fmt.Fprintln(out, "violation: the driver:", pumpErr)
	}
	return n, y.look(n, out)
}

// kill kills workers until over is closed.
func kill(pool *xme.Pool, rng *rand.Rand, every time.Duration, over <-chan struct{}) (kills int) {
	for {
		select {
		case <-over:
			return kills
		case <-time.After(time.Duration(rng.Int64N(int64(2 * every)))):
		}
		workers := pool.Workers()
		if procs.Kill(workers[rng.IntN(len(workers))].PID) {
			kills++
		}
	}
}
