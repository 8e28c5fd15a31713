package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/scripts/procs"
)

func main() {
	xme.Init()
	if len(os.Args) > 1 && os.Args[1] == driverArg {
		driver(os.Args[2:])
	}
	var c config
	flag.DurationVar(&c.time, "t", time.Minute, "how long to run; the last round is run to its end")
	flag.Uint64Var(&c.seed, "seed", 0, "of the first round; 0: from the clock")
	flag.IntVar(&c.workers, "workers", 4, "workers of a pool, at most")
	flag.IntVar(&c.rows, "rows", 20_000, "rows of a table, on average")
	flag.DurationVar(&c.limit, "limit", time.Second, "what a killed driver's processes have to be gone in")
	flag.DurationVar(&c.patience, "patience", time.Minute, "how long nothing may end: more where other work keeps workers from starting faster than they are killed")
	flag.BoolVar(&c.verbose, "v", false, "a line per round")
	link := flag.String("link", "auto", "auto, socket or pipe")
	flag.Parse()
	switch *link {
	case "auto":
		c.link = xme.LinkAuto
	case "socket":
		c.link = xme.LinkSocket
	case "pipe":
		c.link = xme.LinkPipe
	default:
		fmt.Fprintf(os.Stderr, "chaos: -link is %q: auto, socket or pipe\n", *link)
		os.Exit(2)
	}
	if flag.NArg() > 0 || c.workers < 1 || c.rows < 10 {
		fmt.Fprintln(os.Stderr, "chaos: no arguments, -workers 1 or more, -rows 10 or more")
		os.Exit(2)
	}
	if !chaos(c, os.Stdout) {
		os.Exit(1)
	}
}

// config is what the flags say.
type config struct {
	time, limit   time.Duration
	patience      time.Duration // 0: a minute
	seed          uint64
	workers, rows int
	link          xme.Link
	verbose       bool
}

// chaos runs rounds and reports whether all was well.
func chaos(c config, out io.Writer) bool {
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	linkName := map[xme.Link]string{xme.LinkAuto: "auto", xme.LinkSocket: "socket", xme.LinkPipe: "pipe"}[c.link]
	again := func(seed uint64) string {
		return fmt.Sprintf("go run ./scripts/chaos -t %v -seed %d -workers %d -rows %d -link %s", c.time, seed, c.workers, c.rows, linkName)
	}
	fmt.Fprintln(out, again(c.seed))
	mark := fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())
	_ = os.Setenv("XME_CHAOS", mark)
	r := &report{out: out, verbose: c.verbose}
	done := make(chan struct{})
	go r.watchdog(cmp.Or(c.patience, time.Minute), done)
	defer close(done)
	begin := time.Now()
	go r.onInterrupt(begin, done)

	over := func() bool { return time.Since(begin) >= c.time }
	set := settings{link: c.link, workers: c.workers, rows: c.rows, until: over}
	// What the runtime makes once for all shall be there before the first count.
	try(r, c.seed, rand.New(rand.NewPCG(c.seed, 0)), settings{link: c.link, workers: 1, rows: 20, calm: true, until: over})
	before := procs.Take()
	seed := c.seed
	for rounds := 0; rounds == 0 || !over(); rounds++ {
		round(r, seed, set, c.limit)
		r.beat()
		if left := procs.Settle(before, 5*time.Second); len(left) > 0 {
			r.leftovers.Add(int64(len(left)))
			for _, l := range left {
				r.complain(seed, "left behind after a round: %s", l)
			}
			before = procs.Take()
		}
		r.say("round -seed %d: %d rows ended, %v", seed, r.ended.Load(), time.Since(begin).Round(time.Millisecond))
		seed = rand.New(rand.NewPCG(seed, 9)).Uint64() >> 32
	}
	if !r.wasStaffed() { // all were killed too early
		killDriver(r, seed, rand.New(rand.NewPCG(seed, 5)), set, c.limit, true)
	}
	if _, last, left := procs.AwaitGone("XME_CHAOS="+mark, nil, time.Second); left {
		r.leftovers.Add(int64(len(last)))
		r.complain(c.seed, "left behind at the end: %v", last)
	}
	r.print(time.Since(begin))
	fmt.Fprintln(out, again(c.seed))
	return !r.failed()
}

// round runs one pool's tables, and beside them opens and closes pools and kills
// drivers.
func round(r *report, seed uint64, set settings, limit time.Duration) {
	var wg sync.WaitGroup
	var over atomic.Bool
	rngs := [3]*rand.Rand{}
	for i := range rngs {
		rngs[i] = rand.New(rand.NewPCG(seed, uint64(3+i)))
	}
	wg.Go(func() {
		defer over.Store(true)
		try(r, seed, rngs[0], set)
	})
	wg.Go(func() {
		small := set
		small.workers, small.rows, small.early, small.until = 2, 100, true, over.Load
		for !over.Load() {
			try(r, seed, rngs[1], small)
		}
	})
	wg.Go(func() {
		for range 1 + rngs[2].IntN(3) {
			killDriver(r, seed, rngs[2], set, limit, false)
		}
	})
	wg.Wait()
}
