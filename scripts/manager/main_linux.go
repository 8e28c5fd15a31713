package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/scripts/procs"
	"github.com/xenonmp/xme/shm"
)

// config is what the flags say.
type config struct {
	time    time.Duration // of watch
	seed    uint64
	workers int
	n       int // increments for each worker
	every   time.Duration
	only    string
}

// part is one of the checks. It returns what was wrong.
type part struct {
	name string
	run  func(ctx context.Context, c config) error
}

var allParts = []part{{"object", object}, {"locks", locks}, {"readwrite", readwrite}, {"watch", watch}, {"calls", calls}}

func main() {
	xme.Init()
	var c config
	flag.DurationVar(&c.time, "t", 5*time.Second, "how long keys are changed")
	flag.Uint64Var(&c.seed, "seed", 0, "of the kills; 0: from the clock")
	flag.IntVar(&c.workers, "workers", 8, "workers of the pool")
	flag.IntVar(&c.n, "n", 100_000, "how far each of them counts")
	flag.DurationVar(&c.every, "every", 200*time.Millisecond, "between two kills, on average")
	flag.StringVar(&c.only, "only", "", "the name of one part; empty: all")
	flag.Parse()
	if flag.NArg() > 0 || c.time <= 0 || c.workers < 1 || c.n < 1 || c.every <= 0 {
		fmt.Fprintln(os.Stderr, "manager: no arguments; -t, -workers, -n and -every above 0")
		os.Exit(2)
	}
	if err := run(context.Background(), c); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config) error {
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	fmt.Printf("seed %d, %d workers, %d increments each, a kill every %v\n", c.seed, c.workers, c.n, c.every)
	warm := c
	warm.n, warm.time = 100, time.Millisecond
	if err := locks(ctx, warm); err != nil { // what is made once for all shall be there before the first look
		return err
	}
	before := procs.Take()
	var all []error
	ran := false
	for _, p := range allParts {
		if c.only == "" || c.only == p.name {
			ran = true
			begin := time.Now()
			err := p.run(ctx, c)
			fmt.Printf("%-10s %v, wrong: %v\n", p.name, time.Since(begin).Round(time.Millisecond), err)
			all = append(all, err)
		}
	}
	if !ran {
		return fmt.Errorf("-only %s: there is no such part", c.only)
	}
	left := procs.Settle(before, 5*time.Second)
	for _, l := range left {
		all = append(all, fmt.Errorf("left behind: %v", l))
	}
	if used, _ := shm.Usage(); used != 0 {
		all = append(all, fmt.Errorf("%d bytes of shared memory are in use", used))
	}
	return errors.Join(all...)
}

// withPool has f use a pool whose workers are killed at random, if kill says so, until f returns. It returns how many were.
func withPool(ctx context.Context, c config, kill bool, f func(pool *xme.Pool) error) (kills int, err error) {
	pool, err := xme.Open(ctx, xme.Options{Workers: c.workers})
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	over := make(chan struct{})
	var monkey sync.WaitGroup
	if kill {
		rng := rand.New(rand.NewPCG(c.seed, 1))
		monkey.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(time.Duration(rng.ExpFloat64() * float64(c.every))):
				}
				all := pool.Workers()
				w := all[rng.IntN(len(all))]
				if p, err := os.FindProcess(w.PID); w.State == xme.Busy && err == nil && p.Kill() == nil {
					kills++
				}
			}
		})
	}
	err = f(pool)
	close(over)
	monkey.Wait()
	return kills, err
}

// rows runs one row for each of jobs and says which of them were lost with their workers.
func rows[In any](ctx context.Context, pool *xme.Pool, f *xme.Func[In, int], jobs []In) (lost map[int]bool, err error) {
	lost = map[int]bool{}
	i := 0
	seq := func(yield func(In) bool) {
		for _, j := range jobs {
			if !yield(j) {
				return
			}
		}
	}
	for _, e := range f.Map(ctx, pool, seq) {
		switch {
		case errors.Is(e, xme.ErrWorkerLost):
			lost[i] = true
		case e != nil:
			err = errors.Join(err, fmt.Errorf("row %d: %w", i, e))
		}
		i++
	}
	return lost, err
}
