package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
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

// workers is how many a pool has; a guard has another one.
const workers = 8

// config is what the flags say.
type config struct {
	time  time.Duration
	seed  uint64
	n     int // appends of a worker
	every time.Duration
	only  string
}

// part is something to try. It goes by time as often as shares says.
type part struct {
	name   string
	shares int
	run    func(ctx context.Context, s *soak, pool *xme.Pool, m *manager.Manager, d time.Duration) error
}

var partList = []part{
	{"appends", 2, appends},
	{"functions", 2, functions},
	{"stops", 4, stops},
	{"beats", 2, beats},
}

// form is where a manager lives.
type form struct {
	name string
	o    manager.Options
}

var forms = []form{{"in the driver", manager.Options{}}, {"in a process", manager.Options{Process: true}}}

func main() {
	xme.Init()
	var c config
	flag.DurationVar(&c.time, "t", 20*time.Second, "about how long what goes by time takes, all together")
	flag.Uint64Var(&c.seed, "seed", 0, "of the kills and of what is done; 0: from the clock")
	flag.IntVar(&c.n, "n", 100_000, "appends of each worker; of functions it is a hundredth")
	flag.DurationVar(&c.every, "every", 250*time.Millisecond, "between two kills at random, on average")
	flag.StringVar(&c.only, "only", "", "the one `part` to run: "+strings.Join(partNames(), ", "))
	flag.Parse()
	if flag.NArg() > 0 || c.time <= 0 || c.n < 1 || c.every <= 0 || c.only != "" && !slices.Contains(partNames(), c.only) {
		fmt.Fprintln(os.Stderr, "guard: no arguments; -t, -n and -every above 0; -only one of", strings.Join(partNames(), ", "))
		os.Exit(2)
	}
	if err := run(context.Background(), c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
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
	shares := 0
	for _, p := range partList {
		if c.only == "" || c.only == p.name {
			shares += p.shares
		}
	}
	// What is made once for all shall be there before the first look.
	if err := s.each(ctx, warm, 0); err != nil {
		return err
	}
	for _, p := range partList {
		if c.only != "" && c.only != p.name {
			continue
		}
		before, begin := procs.Take(), time.Now()
		each := c.time * 4 / 5 / time.Duration(shares*len(forms)) * time.Duration(p.shares) // a fifth goes into beginnings and ends
		s.part = p.name
		dog := s.watchdog(time.Duration(len(forms))*(each+2*longFor(c.n)), nil)
		err := s.each(ctx, p.run, each)
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

// warm runs a guard once.
func warm(ctx context.Context, s *soak, pool *xme.Pool, m *manager.Manager, _ time.Duration) error {
	return withArray(boardSize(0), func(b board) error {
		var table xme.Table
		if _, err := s.guard(ctx, &table, m, b, 0); err != nil {
			return err
		}
		ticksRow.Add(&table, xme.Repeat(1, ticksJob{M: m, Board: b}))
		return table.Run(ctx, pool)
	})
}

// each runs a part wherever a manager may live.
func (s *soak) each(ctx context.Context, part func(context.Context, *soak, *xme.Pool, *manager.Manager, time.Duration) error, d time.Duration) error {
	for _, f := range forms {
		s.where = f.name
		s.rng = rand.New(rand.NewPCG(s.seed, 1))
		pool, err := xme.Open(ctx, xme.Options{Workers: workers})
		if err != nil {
			return err
		}
		m, err := manager.Open(ctx, f.o)
		if err == nil {
			err = errors.Join(part(ctx, s, pool, m, d), m.Close())
		}
		if err = errors.Join(err, pool.Close()); err != nil {
			return err
		}
	}
	return nil
}

// soak is a run.
type soak struct {
	config
	part, where string
	rng         *rand.Rand // of who runs the parts

	mu         sync.Mutex
	out        io.Writer
	violations int
}

// say prints a line of a part's counts.
func (s *soak) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%-10s %s: "+format+"\n", append([]any{s.part, s.where}, args...)...)
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

// watchdog is [procs.Watchdog]; more, if any, is told about.
func (s *soak) watchdog(limit time.Duration, more fmt.Stringer) *time.Timer {
	return procs.Watchdog(limit, func() string {
		what := fmt.Sprintf("guard: seed %d: %s, %s", s.seed, s.part, s.where)
		if more != nil {
			what += fmt.Sprintf(": %v", more)
		}
		return what
	})
}
