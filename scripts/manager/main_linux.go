package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/scripts/procs"
	"github.com/xenonmp/xme/shm"
)

// workers is how many a pool has.
const workers = 8

// config is what the flags say.
type config struct {
	time  time.Duration
	seed  uint64
	n     int // increments of a worker
	calls int
	every time.Duration // between two kills, on average
	only  string
}

// part is something to try. It goes by time as often as shares says.
type part struct {
	name   string
	shares int
	run    func(ctx context.Context, s *soak, each time.Duration) error
}

var partList = []part{
	{"object", 2, objects},
	{"locks", 3, locks},
	{"readwrite", 1, readWrite},
	{"watch", 2, watches},
	{"calls", 0, calls},
	{"restart", 2, restarts},
}

func main() {
	xme.Init()
	var c config
	flag.DurationVar(&c.time, "t", 20*time.Second, "about how long what goes by time takes, all together")
	flag.Uint64Var(&c.seed, "seed", 0, "of the kills and of what is done; 0: from the clock")
	flag.IntVar(&c.n, "n", 100_000, "increments of each worker, of an object and under each kind of lock")
	flag.IntVar(&c.calls, "calls", 1_000_000, "calls during which nothing may grow")
	flag.DurationVar(&c.every, "every", 250*time.Millisecond, "between two kills at random, on average")
	flag.StringVar(&c.only, "only", "", "the one `part` to run: "+strings.Join(partNames(), ", "))
	flag.Parse()
	if flag.NArg() > 0 || c.time <= 0 || c.n < 1 || c.calls < 1 || c.every <= 0 || c.only != "" && !slices.Contains(partNames(), c.only) {
		fmt.Fprintln(os.Stderr, "manager: no arguments; -t, -n, -calls and -every above 0; -only one of", strings.Join(partNames(), ", "))
		os.Exit(2)
	}
	if err := run(context.Background(), c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func partNames() (names []string) {
	for _, p := range partList {
		names = append(names, p.name)
	}
	return names
}

func run(ctx context.Context, c config, out io.Writer) error {
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	fmt.Fprintf(out, "seed %d, %d workers, a kill every %v\n", c.seed, workers, c.every)
	s := &soak{config: c, out: out}
	// What is made once for all shall be there before the first look.
	if err := warm(ctx); err != nil {
		return err
	}
	shares := 0
	for _, p := range partList {
		if c.only == "" || c.only == p.name {
			shares += p.shares
		}
	}
	for _, p := range partList {
		if c.only != "" && c.only != p.name {
			continue
		}
		before, begin := procs.Take(), time.Now()
		each := c.time * 4 / 5 / time.Duration(max(shares, 1)) // a fifth goes into beginnings and ends
		s.part = p.name
		dog := procs.Watchdog(each*time.Duration(p.shares)+4*longFor(c.n)+longFor(c.calls/20), func() string { return "manager: " + s.part })
		err := p.run(ctx, s, each)
		dog.Stop()
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		for _, l := range procs.Settle(before, 5*time.Second) {
			s.wrong("left behind: %s", l)
		}
		if used, _ := shm.Usage(); used != 0 {
			s.wrong("%d bytes of shared memory are in use", used)
		}
		fmt.Fprintf(out, "%-10s took %v\n", p.name, time.Since(begin).Round(10*time.Millisecond))
	}
	fmt.Fprintf(out, "violations %d\n", s.violations)
	if s.violations > 0 {
		return fmt.Errorf("%d violations, seed %d", s.violations, c.seed)
	}
	return nil
}

// warm opens once what the parts open.
func warm(ctx context.Context) error {
	return withPool(ctx, func(pool *xme.Pool) error {
		for _, f := range forms {
			err := withManager(ctx, f.o, func(m *manager.Manager) error {
				o, err := manager.ShareNew(ctx, m, "", newTool, 0)
				if err != nil {
					return err
				}
				_, err = useOnce.Call(ctx, pool, o)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// soak is a run.
type soak struct {
	config
	part string

	mu         sync.Mutex
	out        io.Writer
	violations int
}

// say prints a line of a part's counts.
func (s *soak) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%-10s "+format+"\n", append([]any{s.part}, args...)...)
}

// wrong reports a violation; the first ones are printed.
func (s *soak) wrong(format string, args ...any) {
	s.mu.Lock()
	s.violations++
	n := s.violations
	s.mu.Unlock()
	if n <= 30 {
		s.say("violation: "+format, args...)
	}
}
