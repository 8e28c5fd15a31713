package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/scripts/procs"
)

// config is what the flags say.
type config struct {
	time time.Duration // how long; 0: until there were calls enough
	n    int           // calls
	seed uint64
}

// modes are the ways to try package mpi. Each runs rounds for as long as more says.
var modes = map[string]func(r *report, c config, more func() bool){"calls": rounds, "ranks": spawns}

func main() {
	xme.Init()
	var c config
	flag.DurationVar(&c.time, "t", 0, "how long to run; 0: until there were -n calls")
	flag.IntVar(&c.n, "n", 10_000, "calls, or collectives and exchanges")
	flag.Uint64Var(&c.seed, "seed", 0, "of all that is done; 0: from the clock")
	mode := flag.String("mode", "calls", "what to try: calls, or ranks")
	flag.Parse()
	if flag.NArg() > 0 || c.time < 0 || c.n < 1 || modes[*mode] == nil {
		fmt.Fprintln(os.Stderr, "mpi: no arguments; -mode calls or ranks; -t not below 0, -n above 0")
		os.Exit(2)
	}
	if !soak(c, modes[*mode], os.Stdout) {
		os.Exit(1)
	}
}

// report collects counts and complaints.
type report struct {
	mu         sync.Mutex
	out        io.Writer
	counts     map[string]int
	calls      int
	complaints int
	last       time.Time // when a call has ended
}

func (r *report) count(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what]++
}

// ended counts the end of a call.
func (r *report) ended(how string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[how]++
	r.calls++
	r.last = time.Now()
}

func (r *report) complain(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.complaints++; r.complaints <= 20 {
		fmt.Fprintf(r.out, "WRONG: "+format+"\n", args...)
	}
}

// blame counts the complaints of a round whose calls do not count.
func (r *report) blame(warm *report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complaints += warm.complaints
}

// soak runs a mode and reports whether all was as it should be.
func soak(c config, mode func(*report, config, func() bool), out io.Writer) bool {
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	fmt.Fprintf(out, "seed %d\n", c.seed)
	r := &report{out: out, counts: map[string]int{}, last: time.Now()}
	over := make(chan struct{})
	var dog sync.WaitGroup
	dog.Go(func() { r.watch(over) })
	begin, first := time.Now(), true
	mode(r, c, func() bool {
		if first {
			first = false
			return true
		}
		if c.time > 0 {
			return time.Since(begin) < c.time
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.calls < c.n
	})
	close(over)
	dog.Wait()
	var names []string
	for name := range r.counts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(out, "%-24s %d\n", name, r.counts[name])
	}
	fmt.Fprintf(out, "%d calls in %v, %d complaints\n", r.calls, time.Since(begin).Round(time.Millisecond), r.complaints)
	return r.complaints == 0
}

// watch ends the program if nothing ends any more.
func (r *report) watch(over <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		r.mu.Lock()
		idle := time.Since(r.last)
		r.mu.Unlock()
		if idle > time.Minute {
			stacks := make([]byte, 1<<20)
			fmt.Fprintf(os.Stderr, "mpi: no call has ended for %v\n%s\n", idle, stacks[:runtime.Stack(stacks, true)])
			os.Exit(2)
		}
	}
}

// left complains of what a round has left behind.
func (r *report) left(seed uint64, before procs.Census) {
	if left := procs.Settle(before, 5*time.Second); len(left) > 0 {
		r.complain("round %d left behind: %s", seed, strings.Join(left, ", "))
	}
}
